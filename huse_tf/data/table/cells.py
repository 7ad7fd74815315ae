"""Reads cells of a record as lists, as strings, or as one clean text."""

from __future__ import annotations

from huse_tf.data.table.records import Record
from huse_tf.data.table.text import clean

MAX_CHARACTERS = 1_000_000  # of a cell, except an image in base64


class RowFault(Exception):
    """A fault for which a row is rejected: the column at fault, and the reason as the message."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def values(record: Record, column: str) -> list[str | bytes]:
    """The cell as a list; [] for an empty cell.

    Raises:
        RowFault: the cell cannot be used.
    """
    if column in record.faults:
        raise RowFault(column, record.faults[column])
    cell = record.cells.get(column)
    if cell is None:
        return []
    return cell if isinstance(cell, list) else [cell]


def strings(record: Record, column: str) -> list[str]:
    """The cell as a list of strings. Bytes are decoded as UTF-8.

    Raises:
        RowFault: the cell cannot be used, is too long, or is not UTF-8.
    """
    found = values(record, column)
    if sum(map(len, found)) > MAX_CHARACTERS:
        raise RowFault(column, f"cell is too long: more than {MAX_CHARACTERS} characters")
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in found]
    except UnicodeDecodeError as error:
        raise RowFault(column, f"text is not UTF-8: from byte {error.start} on") from error


def text(record: Record, column: str) -> str:
    """The cell as one clean text, several values joined by ", "; "" for an empty cell.

    Raises:
        RowFault: the cell cannot be used, is too long, or is not UTF-8.
    """
    return ", ".join(filter(None, map(clean, strings(record, column))))
