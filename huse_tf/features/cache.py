"""Features on disk, found by the sha256 of what they were made from.

One folder per encoder; in it shards, each a `.npy` file of (key, features) records that is written
once and never changed. A shard is named by the sha256 of its content: damage shows as a name that
does not fit, and two processes that write at once cannot disturb each other.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import logging

from huse_tf.files import replacing, sha256_file


class FeatureCache:
    """The features of one encoder; reads what lies in its folder when it is made."""

    def __init__(self, folder: pathlib.Path, shape: tuple[int, ...], dtype: str) -> None:
        """Opens a cache, which need not exist.

        Args:
            folder: of this encoder alone.
            shape: of one item's features.
            dtype: "float32" or "int32".
        """
        self._folder = folder
        self._record = np.dtype([("key", "S64"), ("features", dtype, shape)])
        self._rows: dict[str, np.ndarray] = {}
        for path in sorted(folder.glob("*.npy")):
            if not path.name.startswith("."):  # A temporary file of a process that still writes.
                self._read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> np.ndarray:
        """The features of one input, of the shape and dtype given above. Raises KeyError."""
        return self._rows[key]

    def append(self, keys: Sequence[str], features: np.ndarray) -> None:
        """Stores features for good.

        Args:
            keys: [n] hex sha256 of the inputs.
            features: [n, ...] of the shape given above.
        """
        shard = np.empty(len(keys), self._record)
        shard["key"] = keys
        shard["features"] = features
        buffer = io.BytesIO()
        np.save(buffer, shard, allow_pickle=False)
        name = hashlib.sha256(buffer.getvalue()).hexdigest()
        path = self._folder / f"{name}.npy"
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        # From disk, so that what was encoded does not stay in memory.
        self._add(np.load(path, mmap_mode="r", allow_pickle=False))

    def _read(self, path: pathlib.Path) -> None:
        if sha256_file(path) == path.stem:
            shard = np.load(path, mmap_mode="r", allow_pickle=False)
            if shard.dtype == self._record:
                self._add(shard)
                return
        logging.warning("Dropped %s: it is damaged. What it held is encoded anew.", path)
        path.unlink(missing_ok=True)

    def _add(self, shard: np.ndarray) -> None:
        for key, features in zip(shard["key"], shard["features"], strict=True):
            self._rows[key.decode()] = features
