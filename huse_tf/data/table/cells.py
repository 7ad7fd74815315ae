"""Cells of a record, read as what the settings say they are."""

from __future__ import annotations

from huse_tf.data.table.records import Record
from huse_tf.data.table.text import clean

MAX_CHARACTERS = 1_000_000  # of a cell, but for an image as base64


class RowFault(Exception):
    """Why a row has no items: the column at fault, and the reason as the message."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def values(record: Record, column: str) -> list[str | bytes]:
    """The cell as a list, which is empty if the cell is.

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
    """The same as text; bytes are UTF-8.

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
    """The cell as one clean text; "" if it is empty.

    Raises:
        RowFault: as `strings`.
    """
    return ", ".join(filter(None, map(clean, strings(record, column))))
