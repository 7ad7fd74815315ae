"""Features on disk, found by the sha256 of what they were made from.

One folder per encoder; in it shards, each a `.npy` file of (key, features) records that is written
once and never changed. A shard is named by the sha256 of its content: damage shows as a name that
does not fit, and two processes that write at once cannot disturb each other.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
import re

import numpy as np
from absl import logging

from huse_tf.files import replacing, sha256_file

# A sha256. numpy strips zeros from the end of what it gives out of such an array, but compares as
# if they were there: within arrays digests are told apart by all their bytes.
DIGEST = np.dtype("S32")
_SHARD = re.compile(r"[0-9a-f]{64}\.npy", re.ASCII)


class FeatureCache:
    """The features of one encoder; knows what lies in its folder when it is made.

    In memory are 40 bytes an entry. An entry has a place: its number, counted through all shards.
    Shards are opened when they are read, because there may be more of them than files may be open.
    """

    def __init__(self, folder: pathlib.Path, shape: tuple[int, ...], dtype: str) -> None:
        """Opens a cache, which need not exist.

        Args:
            folder: of this encoder alone.
            shape: of one item's features.
            dtype: "float32" or "int32".
        """
        self._folder = folder
        self._record = np.dtype([("key", "S64"), ("features", dtype, shape)])
        self._shards: list[pathlib.Path] = []
        self._starts: list[int] = []  # place of the first entry of each shard
        self._size = 0
        self._digests = np.empty(0, DIGEST)  # by place
        self._order = np.empty(0, np.int64)  # the places, sorted by digest
        self._appended: list[np.ndarray] = []  # digests that stand in neither yet
        for path in sorted(folder.glob("*.npy")):
            if _SHARD.fullmatch(path.name):  # not a temporary file, or something that is not ours
                self._read(path)

    def find(self, digests: np.ndarray) -> np.ndarray:
        """[n] int64 place of the features of each input, -1 where there are none.

        Args:
            digests: [n] DIGEST, of the inputs.
        """
        self._index()
        if not self._size:
            return np.full(len(digests), -1)
        rank = np.searchsorted(self._digests, digests, sorter=self._order)
        places = self._order[np.minimum(rank, self._size - 1)]
        return np.where(self._digests[places] == digests, places, -1)

    def copy(self, places: np.ndarray, into: np.ndarray, rows: np.ndarray) -> None:
        """Writes the features of entries into rows of an array.

        Args:
            places: [n] int, as `find` gives them, none of them -1.
            into: [..., *shape of the features].
            rows: [n] int row of `into` for each.
        """
        shards = np.searchsorted(self._starts, places, side="right") - 1
        for shard in np.unique(shards):
            chosen = shards == shard
            records = np.load(self._shards[shard], mmap_mode="r", allow_pickle=False)
            into[rows[chosen]] = records["features"][places[chosen] - self._starts[shard]]

    def append(self, digests: np.ndarray, features: np.ndarray) -> None:
        """Stores features for good.

        Args:
            digests: [n] DIGEST, of the inputs.
            features: [n, ...] of the shape given above.
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
        logging.warning("Dropped %s: it is damaged. What it held is encoded anew.", path)
        path.unlink(missing_ok=True)

    def _add(self, path: pathlib.Path, digests: np.ndarray) -> None:
        self._shards.append(path)
        self._starts.append(self._size)
        self._size += len(digests)
        self._appended.append(digests)

    def _index(self) -> None:
        """Sorts once for all shards that came since it last did."""
        if self._appended:
            self._digests = np.concatenate([self._digests, *self._appended])
            self._appended.clear()
            self._order = np.argsort(self._digests)
