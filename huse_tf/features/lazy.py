"""Features that are computed when a batch indexes them, for images that are decoded batch by batch."""

from __future__ import annotations

import array
import copy
import os
import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder


class LazyFeatures:
    """An array-like [n, ...] that holds paths and computes features when it is indexed.

    A boolean index gives a smaller `LazyFeatures`. Integers or a slice give a NumPy array of features.
    """

    def __init__(
        self, encoder: Encoder, paths: Iterable[pathlib.Path | str], present: np.ndarray
    ) -> None:
        """Takes the encoder, [n] paths of images, and [n] bool whether the item has an image."""
        self._encoder, self._paths = encoder, _Paths(paths)
        self._present = np.asarray(present, bool)
        self._items = np.arange(len(self._present))  # places of these items among the paths
        signature = [tf.TensorSpec([None], tf.string)]
        self._function = tf.function(encoder, input_signature=signature)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._items), *self._encoder.feature_spec.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self._encoder.feature_spec.dtype)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray | LazyFeatures:
        items, present = self._items[index], self._present[index]
        if isinstance(index, np.ndarray) and index.dtype == bool:
            some = copy.copy(self)
            some._items, some._present = items, present
            return some
        return self._make([self._paths[item] for item in items[present]], present)

    def _make(self, paths: list[str], present: np.ndarray) -> np.ndarray:
        """[len(present), ...] features; zeros for a missing image."""
        features = np.zeros((len(present), *self.shape[1:]), self.dtype)
        if paths:
            data = [pathlib.Path(path).read_bytes() for path in paths]
            try:
                features[present] = self._function(tf.constant(data)).numpy()
            except tf.errors.InvalidArgumentError as error:
                raise self._culprit(paths, data) or error from error
        return features

    def _culprit(self, paths: list[str], data: list[bytes]) -> UserError | None:
        """The error for the first image of a batch that cannot be decoded."""
        for path, image in zip(paths, data, strict=True):
            try:
                self._function(tf.constant([image]))
            except tf.errors.InvalidArgumentError as error:
                return UserError(f"The image {path!r} cannot be decoded: {error.message}")
        return None


class _Paths:
    """A list of paths in compact form: their bytes, and one integer per path."""

    def __init__(self, paths: Iterable[pathlib.Path | str]) -> None:
        self._bytes, self._ends = bytearray(), array.array("q", [0])
        for path in paths:
            self._bytes += os.fsencode(path)
            self._ends.append(len(self._bytes))

    def __getitem__(self, item: int) -> str:
        return os.fsdecode(bytes(self._bytes[self._ends[item] : self._ends[item + 1]]))
