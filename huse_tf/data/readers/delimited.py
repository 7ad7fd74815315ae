"""Strict reader of CSV and TSV: every row is counted, and a damaged file is refused with its first bad line."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
from collections.abc import Generator, Iterator
from typing import IO

from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.records import MAX_LINE_BYTES, Record
from huse_tf.errors import UserError

_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
_BLOCK = 1 << 20
_Row = tuple[int, list[str]]  # line number, fields


class DelimitedSource:
    """A UTF-8 file with a header line. `"` quotes a field, and `""` is a quote within quotes.

    Blank lines are skipped. A row with more or fewer fields than there are columns has a fault.
    """

    optional = False

    def __init__(
        self,
        file: CatalogueFile,
        delimiter: str,
        max_cell: int,
        columns: tuple[str, ...] = (),
    ) -> None:
        r"""Reads the header.

        Args:
            file: the file.
            delimiter: one character, or `\t`.
            max_cell: largest number of characters in a field.
            columns: names of the columns of a file without a header line; () for one with it.

        Raises:
            UserError: the delimiter is unusable, the file is missing or empty, or two columns have the
                same name. Here or during iteration: the file is not UTF-8, a quote is not closed or
                closed in the wrong place, or a field or line is too long.
        """
        delimiter = delimiter.replace("\\t", "\t")
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise UserError(
                "--delimiter takes one character, such as ',' or ';' or '\\t'. "
                f"Received: {delimiter!r}."
            )
        self._file = file
        self._delimiter = delimiter
        self._max_cell = max_cell
        with contextlib.closing(self._rows()) as rows:
            header = next(rows, None)
        if header is None:
            raise UserError(
                f"The catalogue {file.location!r} is empty. Expected a header and rows."
            )
        self._has_header = not columns
        self.columns = columns or tuple(name.strip() for name in header[1])
        doubled = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if doubled:
            raise UserError(
                f"The catalogue {file.location!r} has several columns named {doubled[0]!r}. "
                f"Expected each column name once. Received: {', '.join(self.columns)}."
            )

    def __iter__(self) -> Iterator[Record]:
        rows = self._rows()
        if self._has_header:
            next(rows)
        for line, fields in rows:
            if len(fields) == len(self.columns):
                cells = dict(zip(self.columns, fields, strict=True))
                yield Record(self._file.name, line, cells)
            else:
                fault = f"wrong number of fields: {len(fields)}, expected {len(self.columns)}"
                yield Record(self._file.name, line, {}, fault)

    def _rows(self) -> Generator[_Row]:
        try:
            with self._file.open() as stream:
                yield from self._parse(self._lines(stream))
        except UnicodeDecodeError as error:
            raise self._not_utf8() from error

    def _lines(self, stream: IO[bytes]) -> Iterator[str]:
        """Lines with their line ends, of any kind."""
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            for number in itertools.count(1):
                line = text.readline(MAX_LINE_BYTES)
                if len(line) == MAX_LINE_BYTES:
                    raise UserError(
                        f"The catalogue {self._file.location!r} has a line of more than "
                        f"{MAX_LINE_BYTES} characters, line {number}. Expected a text file."
                    )
                if not line:
                    return
                yield line

    def _parse(self, lines: Iterator[str]) -> Iterator[_Row]:
        # The limit is global in the csv module, so it is never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), self._max_cell))
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        line = 1
        try:
            for fields in reader:
                if fields:
                    self._refuse_swallowed_rows(line, fields)
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"The catalogue {self._file.location!r} cannot be parsed: the row that starts on "
                f"line {line} is broken by line {reader.line_num} ({error}). Expected each '\"' "
                "that opens a field to be closed before the next field, and '\"\"' for a quote "
                "within quotes. A wrong --delimiter shows like this too."
            ) from error

    def _refuse_swallowed_rows(self, line: int, fields: list[str]) -> None:
        """Refuses a field that holds whole rows.

        Two stray quotes make one valid field of all rows between them. It is recognised by its lines:
        one of them has several cells, and one of these is the name of an image.
        """
        for inner in (inner for field in fields if "\n" in field for inner in field.split("\n")):
            cells = inner.strip().split(self._delimiter)
            if len(cells) > 1 and any(cell.lower().endswith(_IMAGE_ENDINGS) for cell in cells):
                raise UserError(
                    f"The catalogue {self._file.location!r} has a stray '\"': a field of the row "
                    f"that starts on line {line} holds what looks like another row: "
                    f"{inner.strip()!r}. Close the quote, or double it where it belongs to the "
                    "text."
                )

    def _not_utf8(self) -> UserError:
        """The error for a file that is not UTF-8. Reads the file again to find the first bad byte."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        offset, line, utf16 = 0, 1, False
        with self._file.open() as stream:
            while block := stream.read(_BLOCK):
                utf16 = utf16 or (offset == 0 and block.startswith((b"\xff\xfe", b"\xfe\xff")))
                pending = len(decoder.getstate()[0])
                try:
                    decoder.decode(block, final=False)
                except UnicodeDecodeError as error:
                    offset += error.start - pending
                    line += block.count(b"\n", 0, max(error.start - pending, 0))
                    break
                offset += len(block)
                line += block.count(b"\n")
        encoding = "UTF-16" if utf16 else "WINDOWS-1252"
        return UserError(
            f"The catalogue {self._file.location!r} is not UTF-8, from byte {offset} on, line "
            f"{line}. Convert it, if it is {encoding}, with: "
            f"iconv -f {encoding} -t UTF-8 {self._file.name} > utf8.csv"
        )
