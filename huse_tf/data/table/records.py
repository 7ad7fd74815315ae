"""Rows of a catalogue before anybody knows what their columns mean: one form for all formats."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

# A list has several images, several class paths or several words.
Cell = str | bytes | list[str | bytes] | None
MAX_LINE_BYTES = 64_000_000  # of a line of a text file; an image as base64 has its place in it
_MAX_NUMBER_BITS = 1024


class BadCellError(ValueError):
    """Why a cell cannot be used; the part before ": " is the same for all cells with that fault."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One row.

    Attributes:
        file: the file it stands in, as a path from the catalogue's folder; "" if in none.
        row: line on which it starts in a text file, the header's being 1; otherwise its number,
            from 1.
        cells: by column; a column that is left out is empty.
        fault: why the row's cells cannot be told apart; "" if they can.
        faults: column -> why its cell cannot be used. It is a fault only where the column is needed.
    """

    file: str
    row: int
    cells: Mapping[str, Cell]
    fault: str = ""
    faults: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, file: str, row: int, values: Mapping[str, Any]) -> Record:
        """The record of a row whose values may be of any Python type."""
        cells, faults = {}, {}
        for column, value in values.items():
            try:
                cells[column] = cell(value)
            except BadCellError as fault:
                faults[column] = str(fault)
        return cls(file, row, cells, "", faults)


class Source(Protocol):
    """A stream of records, from the start whenever it is iterated over."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, each once; no record has cells of others."""
        ...

    @property
    def optional(self) -> bool:
        """Whether a file may lack columns that others have: so in formats without a header."""
        ...

    def __iter__(self) -> Iterator[Record]: ...


def cell(value: Any) -> Cell:
    """A value of any format as text, bytes, or a list of them; None if there is none.

    Raises:
        BadCellError: a dict or another thing that is no text, a list in a list, half a character.
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
