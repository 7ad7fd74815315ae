"""A CSV file read strictly: every row counted, and a damaged file refused with the line it breaks at."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
import pathlib
from collections.abc import Iterable

from huse_tf.errors import UserError

_DELIMITERS = {",": "','", ";": "';'", "\t": "'\\t' (a tab)", "|": "'|'"}
Row = tuple[int, tuple[str, ...]]  # line number, fields
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


@dataclasses.dataclass(frozen=True)
class Table:
    """What a CSV file holds.

    Attributes:
        header: the column names, stripped.
        rows: per row, in the order of the file, the line on which it starts (the header's is 1, as
            editors count) and its fields, of which there may be more or fewer than columns. Blank
            lines are no rows.
    """

    header: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: pathlib.Path, delimiter: str) -> Table:
    """Reads a UTF-8 CSV file with a header line; `"` quotes, and `""` is a quote within quotes.

    Raises:
        UserError: no such file, nothing in it, not UTF-8, a quote that is never closed or closed in
            the wrong place, columns of equal name.
    """
    delimiter = delimiter.replace("\\t", "\t")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UserError(
            "--delimiter takes one character, such as ',' or ';' or '\\t'. "
            f"Received: {delimiter!r}."
        )
    text = _decode(path)
    rows = _parse(path, text, delimiter)
    _refuse_swallowed_rows(path, rows, delimiter)
    if not rows:
        raise UserError(f"The catalogue {str(path)!r} is empty. Expected a header and rows.")
    header = tuple(name.strip() for name in rows[0][1])
    if len(rows) == 1:
        raise UserError(
            f"The catalogue {str(path)!r} has a header and no rows. Received columns: "
            f"{', '.join(header)}."
        )
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise UserError(
            f"The catalogue {str(path)!r} has several columns named {doubled[0]!r}. Expected each "
            f"column name once. Received: {', '.join(header)}."
        )
    return Table(header, tuple(rows[1:]))


def _decode(path: pathlib.Path) -> str:
    if path.is_dir():
        raise UserError(f"The catalogue is a CSV file. Received a folder: {str(path)!r}.")
    if not path.exists():
        raise UserError(f"No catalogue lies at {str(path)!r}. Check --catalogue.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"The catalogue {str(path)!r} cannot be read: {error.strerror}.") from error
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        encoding = "UTF-16" if utf16 else "WINDOWS-1252"
        raise UserError(
            f"The catalogue {str(path)!r} is not UTF-8: byte 0x{data[error.start]:02x} at offset "
            f"{error.start}, line {line}. Convert it, if it is {encoding}, with: "
            f"iconv -f {encoding} -t UTF-8 {path.name} > utf8.csv"
        ) from error


def _parse(path: pathlib.Path, text: str, delimiter: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, line = [], 1
    try:
        for fields in reader:
            if fields:
                rows.append((line, tuple(fields)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"The catalogue {str(path)!r} cannot be parsed: the row that starts on line {line} is "
            f"broken by line {reader.line_num} ({error}). Expected each '\"' that opens a field to be "
            "closed before the next field, and '\"\"' for a quote within quotes. "
            "A wrong --delimiter shows like this too."
        ) from error
    return rows


def _refuse_swallowed_rows(path: pathlib.Path, rows: list[Row], delimiter: str) -> None:
    """Two stray quotes make one field of all the rows between them, and no parser minds.

    Such a field has several lines, and among their cells are names of pictures.
    """
    for line, fields in rows:
        for inner in (inner for field in fields if "\n" in field for inner in field.split("\n")):
            cells = inner.strip().split(delimiter)
            if len(cells) > 1 and any(cell.lower().endswith(_PICTURE_ENDINGS) for cell in cells):
                raise UserError(
                    f"The catalogue {str(path)!r} has a stray '\"': a field of the row that starts "
                    f"on line {line} holds what looks like another row: {inner.strip()!r}. Close "
                    "the quote, or double it where it belongs to the text."
                )


def missing_column(
    path: pathlib.Path, table: Table, missing: str, wanted: Iterable[str]
) -> UserError:
    """The error for a column that is not there; names the right delimiter if another one fits."""
    only = table.header[0] if len(table.header) == 1 else ""
    for delimiter, shown in _DELIMITERS.items():
        if set(wanted) <= {name.strip(' "') for name in only.split(delimiter)}:
            return UserError(
                f"The columns of {str(path)!r} seem to be separated by {shown}. Set --delimiter. "
                f"Received as one column: {only!r}."
            )
    lowered = {name.lower(): name for name in table.header}
    close = difflib.get_close_matches(missing.lower(), lowered, n=1)
    hint = f" Did you mean {lowered[close[0]]!r}?" if close else ""
    return UserError(
        f"The catalogue {str(path)!r} has no column {missing!r}. Received columns: "
        f"{', '.join(table.header)}.{hint} Rename the column, or name it with a flag "
        "(--image_column, --class_column, --text_columns, --product_column)."
    )
