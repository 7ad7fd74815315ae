"""Any record of a prepared folder by its number; nothing is held but the tables of offsets, on disk."""

from __future__ import annotations

import os
import pathlib
import weakref
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from huse_tf.data import shard_index, shards
from huse_tf.errors import UserError


class ShardReader:
    """Random access to the records of a prepared folder, numbered from 0 through all shards.

    Attributes:
        index: of the folder.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens the folder's files.

        Raises:
            UserError: the folder is not finished, or a file is missing or does not fit the index.
        """
        self.index = shard_index.read_index(folder)
        self._paths = [folder / shard.name for shard in self.index.shards]
        self._tables = [_open_table(folder, shard) for shard in self.index.shards]
        self._starts = np.cumsum([0] + [len(table) for table in self._tables])
        self._files = [os.open(path, os.O_RDONLY) for path in self._paths]
        weakref.finalize(self, _close, self._files)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def rows(self, side: str) -> np.ndarray:
        """[n] int64: the numbers of the records on one side of the split, ascending."""
        code = shards.SIDES.index(side)
        parts = [np.flatnonzero(table["side"] == code) for table in self._tables]
        return np.concatenate(
            [start + part for start, part in zip(self._starts, parts, strict=False)]
        )

    def read(self, rows: Sequence[int] | np.ndarray) -> list[bytes]:
        """The records of these numbers, in this order.

        Raises:
            UserError: a record is damaged.
        """
        places = np.searchsorted(self._starts, rows, side="right") - 1
        return [
            self._read_one(int(shard), int(row - self._starts[shard]))
            for shard, row in zip(places, rows, strict=True)
        ]

    def _read_one(self, shard: int, row: int) -> bytes:
        entry = self._tables[shard][row]
        # Does not move the file's position, so that threads can share it.
        data = os.pread(self._files[shard], int(entry["length"]), int(entry["offset"]))
        if zlib.crc32(data) != entry["crc32"]:
            raise UserError(
                f"{str(self._paths[shard])!r} is damaged: record {row + 1} is not what was written "
                "there. Restore the file, or prepare the folder anew."
            )
        return data


def _open_table(folder: pathlib.Path, shard: shard_index.ShardInfo) -> np.ndarray:
    path = folder / shard.name
    try:
        size = path.stat().st_size
        table = np.load(folder / shard.table_name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"Shard {str(path)!r} cannot be read: {error}") from error
    if (
        size != shard.bytes
        or table.dtype != shards.TABLE
        or table.shape != (shard.records,)
        # Lengths are trusted from here on: memory is asked for by them.
        or (table["length"] > shards.MAX_RECORD_BYTES).any()
    ):
        raise UserError(
            f"Shard {str(path)!r} does not fit the index. Expected {shard.records} records in "
            f"{shard.bytes} bytes. Received: {size} bytes and a table of {len(table)} records. "
            "Restore it, or prepare the folder anew."
        )
    # A record has a checksum in the table, and the table has one in the index.
    shard_index.check_file(folder / shard.table_name, shard.table_sha256)
    return table


def _close(files: Iterable[int]) -> None:
    for file in files:
        os.close(file)
