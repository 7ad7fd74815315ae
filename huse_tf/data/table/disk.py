"""Dicts and tables in a temporary file, for catalogues that are larger than memory.

Each is an SQLite database without a name. SQLite deletes the file when it opens it, so no file remains,
however the process ends. The file lies in SQLITE_TMPDIR, TMPDIR or, by default, /var/tmp. At most 4 MB of
it are in memory.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import json
import sqlite3
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from huse_tf.errors import UserError

_CHUNK = 4096  # rows of a table that are in memory at once
_CACHE_KB = 4000
_TUPLES = 500  # tuples that are kept for reuse

R = TypeVar("R")


class _Database:
    """A database that is closed, and with it deleted, when the object is garbage-collected."""

    def __init__(self, schema: str) -> None:
        # Another thread may delete the object. No database is used by two threads at a time.
        self._connection = sqlite3.connect("", check_same_thread=False)
        self.execute(f"PRAGMA cache_size = {-_CACHE_KB}")
        self.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back
        self.execute(schema)

    def execute(self, query: str, cells: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(query, cells)
        except sqlite3.OperationalError as error:
            raise UserError(
                f"The temporary file of a catalogue cannot be written: {error}. Name a folder with "
                "room for it in the environment variable SQLITE_TMPDIR."
            ) from error

    def __del__(self) -> None:
        self._connection.close()


class DiskDict:
    """A dict of text -> JSON value with `[]=` and `get` only."""

    def __init__(self) -> None:
        self._database = _Database(
            "CREATE TABLE entries (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
        )

    def __setitem__(self, name: str, value: Any) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?)", (name, json.dumps(value))
        )

    def get(self, name: str, default: Any = None) -> Any:
        """The value, its lists as tuples; `default` for an unknown name."""
        query = "SELECT value FROM entries WHERE name = ?"
        found = self._database.execute(query, (name,)).fetchone()
        return default if found is None else _nested(json.loads(found[0]))


class DiskTable(Generic[R]):
    """A table of dataclass records, in the order in which they were appended.

    Fields are texts, numbers, or (nested) tuples of texts. `table["title"]` is a column: it can be
    iterated over repeatedly, and reads from disk.
    """

    def __init__(self, kind: type[R], records: Iterable[R] = ()) -> None:
        self._kind = kind
        hints = typing.get_type_hints(kind)
        self._names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
        self._nested = {name for name in self._names if typing.get_origin(hints[name]) is tuple}
        self._database = _Database(f"CREATE TABLE records ({self._selected(self._names)})")
        self._insert = f"INSERT INTO records VALUES ({', '.join('?' * len(self._names))})"
        self._beside: dict[str, np.ndarray] = {}
        for record in records:
            self.append(record)

    def append(self, record: R) -> None:
        cells = vars(record)
        self._database.execute(
            self._insert,
            [
                json.dumps(cells[name]) if name in self._nested else cells[name]
                for name in self._names
            ],
        )

    def assign(self, **columns: np.ndarray) -> DiskTable[R]:
        """The same table with further columns [rows], which are held in memory."""
        table = copy.copy(self)
        table._beside = {**self._beside, **columns}
        return table

    def __len__(self) -> int:
        return self._database.execute("SELECT count(*) FROM records").fetchone()[0]

    def __iter__(self) -> Iterator[R]:
        for _, *cells in self._rows(self._names):
            yield self._kind(**dict(zip(self._names, cells, strict=True)))

    def __getitem__(self, name: str) -> Any:
        beside = self._beside.get(name)
        return _Column(self, name) if beside is None else beside

    def frames(self, order: str = "") -> Iterator[pd.DataFrame]:
        """The table as data frames of some thousand rows each. An empty table gives one empty frame.

        Args:
            order: column to sort by, texts by code points; "" keeps the order of appending.
        """
        rows = self._rows(self._names, order)
        yield self._frame(list(itertools.islice(rows, _CHUNK)))
        while chunk := list(itertools.islice(rows, _CHUNK)):
            yield self._frame(chunk)

    def frame(self, chosen: np.ndarray | None = None) -> pd.DataFrame:
        """The table, or the rows where `chosen` [rows] bool is True, in memory. Its index is the row."""
        found, start = [], 0
        for frame in self.frames():
            frame.index += start
            start += len(frame)
            found.append(frame if chosen is None else frame[chosen[frame.index]])
        return pd.concat(found)

    def _frame(self, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
        places, *columns = zip(*rows, strict=True) if rows else [()] * (1 + len(self._names))
        frame = pd.DataFrame({n: list(c) for n, c in zip(self._names, columns, strict=True)})
        chosen = np.array(places, np.int64) - 1
        return frame.assign(**{name: each[chosen] for name, each in self._beside.items()})

    def _rows(self, names: list[str], order: str = "") -> Iterator[tuple[Any, ...]]:
        """(row number from 1, cells ...) of each record."""
        by = self._selected([order]) if order else "rowid"
        query = f"SELECT rowid, {self._selected(names)} FROM records ORDER BY {by}"
        rows = self._database.execute(query)
        nested = [place for place, name in enumerate(names, start=1) if name in self._nested]
        yield from (_with_tuples(row, nested) for row in rows) if nested else rows

    def _selected(self, names: list[str]) -> str:
        return ", ".join(f'"{name}"' for name in names)


@dataclasses.dataclass(frozen=True, eq=False)
class _Column:
    table: DiskTable[Any]
    name: str

    def __iter__(self) -> Iterator[Any]:
        return (cell for _, cell in self.table._rows([self.name]))


def _with_tuples(row: tuple[Any, ...], nested: list[int]) -> tuple[Any, ...]:
    cells = list(row)
    for place in nested:
        cells[place] = _tuple(cells[place])
    return tuple(cells)


@functools.lru_cache(_TUPLES)
def _tuple(text: str) -> tuple[Any, ...]:
    """The tuple of a JSON text. Equal recent texts give the same object."""
    return _nested(json.loads(text))


def _nested(part: Any) -> Any:
    return tuple(map(_nested, part)) if isinstance(part, list) else part
