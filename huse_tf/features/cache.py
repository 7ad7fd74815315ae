"""The feature cache: features on disk, found by the sha256 of the encoder's input.

Each encoder has a folder of shards. A shard is a `.npy` file of (key, features) records that never changes.
Its name is the sha256 of its content. So a damaged shard has a wrong name, and processes that write at the
same time cannot disturb each other.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
import re

import numpy as np
from absl import logging

from huse_tf.files import replacing, sha256_file

# A sha256. NumPy strips trailing zeros from elements that are read, but compares arrays with all bytes.
DIGEST = np.dtype("S32")
_SHARD = re.compile(r"[0-9a-f]{64}\.npy", re.ASCII)


class FeatureCache:
    """The cached features of one encoder. The constructor reads the keys of all shards in its folder.

    Memory: 40 bytes per entry. The place of an entry is its number over all shards. Shards are opened
    only to read them, because there may be more shards than open files are allowed.
    """

    def __init__(self, folder: pathlib.Path, shape: tuple[int, ...], dtype: str) -> None:
        """Opens the cache, or an empty one if the folder does not exist.

        Args:
            folder: folder of this encoder alone.
            shape: shape of one item's features.
            dtype: "float32" or "int32".
        """
        self._folder = folder
        self._record = np.dtype([("key", "S64"), ("features", dtype, shape)])
        self._shards: list[pathlib.Path] = []
        self._starts: list[int] = []  # place of the first entry of each shard
        self._size = 0
        self._digests = np.empty(0, DIGEST)  # by place
        self._order = np.empty(0, np.int64)  # the places, sorted by digest
        self._appended: list[np.ndarray] = []  # digests that are not in these two yet
        for path in sorted(folder.glob("*.npy")):
            if _SHARD.fullmatch(path.name):  # skips temporary files and files of others
                self._read(path)

    def find(self, digests: np.ndarray) -> np.ndarray:
        """[n] int64 place of each input's features; -1 if they are not in the cache.

        Args:
            digests: [n] DIGEST of the inputs.
        """
        self._index()
        if not self._size:
            return np.full(len(digests), -1)
        rank = np.searchsorted(self._digests, digests, sorter=self._order)
        places = self._order[np.minimum(rank, self._size - 1)]
        return np.where(self._digests[places] == digests, places, -1)

    def copy(self, places: np.ndarray, into: np.ndarray, rows: np.ndarray) -> None:
        """Copies the features of entries into rows of an array.

        Args:
            places: [n] int places from `find`, without -1.
            into: array [rows, *shape of the features].
            rows: [n] int row of `into` for each entry.
        """
        shards = np.searchsorted(self._starts, places, side="right") - 1
        for shard in np.unique(shards):
            chosen = shards == shard
            records = np.load(self._shards[shard], mmap_mode="r", allow_pickle=False)
            into[rows[chosen]] = records["features"][places[chosen] - self._starts[shard]]

    def append(self, digests: np.ndarray, features: np.ndarray) -> None:
        """Writes features as a new shard.

        Args:
            digests: [n] DIGEST of the inputs.
            features: [n, *shape of the features].
        """
        shard = np.empty(len(digests), self._record)
        shard["key"] = np.frombuffer(digests.tobytes().hex().encode(), "S64")
        shard["features"] = features
        buffer = io.BytesIO()
        np.save(buffer, shard, allow_pickle=False)
        name = hashlib.sha256(buffer.getvalue()).hexdigest()
        path = self._folder / f"{name}.npy"
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        self._add(path, digests)

    def _read(self, path: pathlib.Path) -> None:
        if sha256_file(path) == path.stem:
            shard = np.load(path, mmap_mode="r", allow_pickle=False)
            if shard.dtype == self._record:
                keys = bytes.fromhex(shard["key"].tobytes().decode())
                self._add(path, np.frombuffer(keys, DIGEST))
                return
        logging.warning("Removed %s: it is damaged. Its features are computed again.", path)
        path.unlink(missing_ok=True)

    def _add(self, path: pathlib.Path, digests: np.ndarray) -> None:
        self._shards.append(path)
        self._starts.append(self._size)
        self._size += len(digests)
        self._appended.append(digests)

    def _index(self) -> None:
        """Sorts the digests, if shards were added since the last call."""
        if self._appended:
            self._digests = np.concatenate([self._digests, *self._appended])
            self._appended.clear()
            self._order = np.argsort(self._digests)
