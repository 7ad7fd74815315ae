"""Rows of a catalogue in one form for all file formats, before their columns have a role."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

# A list holds several images, class paths or words.
Cell = str | bytes | list[str | bytes] | None
MAX_LINE_BYTES = 64_000_000  # of a line of a text file; large enough for an image in base64
_MAX_NUMBER_BITS = 1024


class BadCellError(ValueError):
    """A cell that cannot be used. The message before ": " is the kind of fault, equal for all such cells."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One row.

    Attributes:
        file: path of the file relative to the catalogue's folder; "" for rows from Python.
        row: in a text file the line where the row starts, counted from 1 with the header; otherwise
            the row's number from 1.
        cells: column -> cell. The cell of a missing column is empty.
        fault: why the row cannot be parsed; "" if it can.
        faults: column -> why its cell cannot be used. It matters only if the column is used.
    """

    file: str
    row: int
    cells: Mapping[str, Cell]
    fault: str = ""
    faults: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, file: str, row: int, values: Mapping[str, Any]) -> Record:
        """The record of a row with values of any Python type."""
        cells, faults = {}, {}
        for column, value in values.items():
            try:
                cells[column] = cell(value)
            except BadCellError as fault:
                faults[column] = str(fault)
        return cls(file, row, cells, "", faults)


class Source(Protocol):
    """A stream of records. Every iteration starts at the first record."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The distinct names of all columns of its records."""
        ...

    @property
    def optional(self) -> bool:
        """Whether files of one catalogue may have different columns (formats without a header)."""
        ...

    def __iter__(self) -> Iterator[Record]: ...


def cell(value: Any) -> Cell:
    """A value of any type as text, bytes, or a list of these; None for a missing value.

    Raises:
        BadCellError: a value that is not text, bytes or a number, a nested list, or an invalid text.
    """
    if isinstance(value, list | tuple):
        parts = [_scalar(part) for part in value]
        return [part for part in parts if part is not None]
    return _scalar(value)


def _scalar(value: Any) -> str | bytes | None:
    match value:
        case None | bytes():
            return value
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise BadCellError("text with half of a surrogate pair") from error
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return None if math.isnan(value) else repr(value)
        case int():
            if value.bit_length() > _MAX_NUMBER_BITS:
                raise BadCellError("number with too many digits")
            return str(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return None if value.is_nan() else str(value)
    raise BadCellError(f"cell is neither text nor number: {type(value).__name__}")
