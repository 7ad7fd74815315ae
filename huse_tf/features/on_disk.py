"""Large arrays on disk, and selections of their rows that are read only when they are indexed."""

from __future__ import annotations

import os
import pathlib
import tempfile
from typing import Any

import numpy as np

from huse_tf.files import disk_faults

MAX_BYTES_IN_MEMORY = 2**28


def zeros(shape: tuple[int, ...], dtype: str, folder: pathlib.Path) -> np.ndarray:
    """An array of zeros, in memory or, above MAX_BYTES_IN_MEMORY, in a temporary file in `folder`.

    The file is deleted when the process ends, however it ends.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= MAX_BYTES_IN_MEMORY:
        return np.zeros(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with disk_faults(folder), tempfile.TemporaryFile(dir=folder) as file:
        # Allocated now: a disk that is full when a page is written later would kill the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, mode="w+", shape=shape)


def take(array: Any, chosen: np.ndarray) -> Any:
    """The chosen rows of an array: a copy of an array in memory, a lazy view of any other.

    Args:
        array: [n, ...] NumPy array, `RowsOf` or `LazyFeatures`.
        chosen: [n] bool.
    """
    if chosen.all():
        return array
    if isinstance(array, np.memmap):
        return RowsOf(array, np.flatnonzero(chosen))
    return array[chosen]


class RowsOf:
    """An array-like of some rows of another array, which are read when they are indexed.

    A boolean index gives a smaller `RowsOf` and reads nothing. Integers or a slice give a NumPy array.
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        """Takes the array [n, ...] and the numbers of its rows."""
        self._array, self._rows = array, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._rows), *self._array.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, np.ndarray) and index.dtype == bool:
            return RowsOf(self._array, self._rows[index])
        return np.array(self._array[self._rows[index]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)
