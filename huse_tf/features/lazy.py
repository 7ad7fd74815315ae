"""Features that are made when a batch asks for them: pictures decoded in tf.data, never all at once."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder


class LazyFeatures:
    """Looks like an array [n, ...]; holds only paths.

    Indexed by booleans it gives some of its items, lazily; by integers or a slice, their features.
    """

    def __init__(
        self, encoder: Encoder, paths: Sequence[pathlib.Path | str], present: np.ndarray
    ) -> None:
        """Takes the encoder and, per item, a picture's path and whether there is a picture."""
        self._encoder, self._paths = encoder, np.array([str(path) for path in paths], object)
        self._present = np.asarray(present, bool)
        signature = [tf.TensorSpec([None], tf.string)]
        self._function = tf.function(encoder, input_signature=signature)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._paths), *self._encoder.feature_spec.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self._encoder.feature_spec.dtype)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray | LazyFeatures:
        if isinstance(index, np.ndarray) and index.dtype == bool:
            return LazyFeatures(self._encoder, self._paths[index], self._present[index])
        return self._make(self._paths[index], self._present[index])

    def _make(self, paths: np.ndarray, present: np.ndarray) -> np.ndarray:
        """[len(paths), ...] features; zeros where there is no picture."""
        features = np.zeros((len(paths), *self.shape[1:]), self.dtype)
        if present.any():
            data = [pathlib.Path(path).read_bytes() for path in paths[present]]
            try:
                features[present] = self._function(tf.constant(data)).numpy()
            except tf.errors.InvalidArgumentError as error:
                raise self._culprit(paths[present], data) or error from error
        return features

    def _culprit(self, paths: np.ndarray, data: list[bytes]) -> UserError | None:
        """The error for the first picture of a batch that cannot be decoded."""
        for path, picture in zip(paths, data, strict=True):
            try:
                self._function(tf.constant([picture]))
            except tf.errors.InvalidArgumentError as error:
                return UserError(f"The picture {path!r} cannot be decoded: {error.message}")
        return None
