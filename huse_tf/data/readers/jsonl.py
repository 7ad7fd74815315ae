"""Reader of JSON Lines: one object per line, its keys are columns. A broken line is a row with a fault."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import IO, Any

from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.records import MAX_LINE_BYTES, Record
from huse_tf.errors import UserError

_MAX_PIECES = (
    16  # a line over MAX_LINE_BYTES is a fault; over so many times that, the file is refused
)


class JsonLinesSource:
    """A UTF-8 file of objects. A missing key, or null, is an empty cell.

    Numbers and booleans become text. Blank lines are skipped.
    """

    optional = True

    def __init__(self, file: CatalogueFile) -> None:
        """Takes the file, which is read later.

        Raises, during iteration:
            UserError: the file is missing or cannot be read.
        """
        self._file = file

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """The keys of all objects, in the order of their first occurrence. Reads the whole file."""
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
        """(line number, line without its end) of lines that are not blank. Lines too long are cut."""
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
                        "one object per line."
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
        raise ValueError("JSON object has a key twice")
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
