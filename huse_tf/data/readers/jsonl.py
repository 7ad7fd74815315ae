"""JSON Lines: one object a line, its keys the columns; a broken line is a row with a fault."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import IO, Any

from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.records import MAX_LINE_BYTES, Record
from huse_tf.errors import UserError

_MAX_PIECES = 16  # of MAX_LINE_BYTES, of a line that is a fault; a longer one is no line


class JsonLinesSource:
    """A UTF-8 file of objects; a key that an object lacks, or null, is an empty cell.

    Numbers and truth values become text. Blank lines are no rows.
    """

    optional = True

    def __init__(self, file: CatalogueFile) -> None:
        """Reads nothing yet.

        Raises, while reading:
            UserError: the file is missing or cannot be read.
        """
        self._file = file

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """The keys of all objects, in the order in which they are met; reads the file through."""
        found: dict[str, None] = {}
        for record in self:
            found.update(dict.fromkeys([*record.cells, *record.faults]))
        return tuple(found)

    def __iter__(self) -> Iterator[Record]:
        with self._file.open() as stream:
            for number, line in self._lines(stream):
                try:
                    values = _parse(line)
                except (ValueError, RecursionError) as error:
                    yield Record(self._file.name, number, {}, _fault(error))
                else:
                    yield Record.of(self._file.name, number, values)

    def _lines(self, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, without their ends, with their numbers; of one that is too long, the beginning."""
        number = 0
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            end, pieces = line, 1
            while not end.endswith(b"\n") and (end := stream.readline(MAX_LINE_BYTES)):
                pieces += 1
                if pieces > _MAX_PIECES:
                    raise UserError(
                        f"The catalogue {self._file.location!r} has a line of more than "
                        f"{_MAX_PIECES * MAX_LINE_BYTES} bytes, line {number}. Expected a text file with "
                        "an object a line."
                    )
            if line.strip():
                yield number, line.rstrip(b"\r\n")


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"line has too many bytes: more than {MAX_LINE_BYTES}")
    values = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_object)
    if not isinstance(values, dict):
        raise ValueError(f"line is not a JSON object: {type(values).__name__}")
    return values


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("JSON object with a key that stands in it twice")
    return values


def _fault(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return f"line is not JSON: {error.msg}, character {error.colno}"
        case UnicodeDecodeError():
            return f"line is not UTF-8: from byte {error.start} on"
        case RecursionError():
            return "JSON is nested too deeply"
    return str(error)
