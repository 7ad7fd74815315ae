"""An image encoder: the mean colours of the cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import ImageEncoder, image_files
from huse_tf.spec import FeatureSpec


class Colors(ImageEncoder):
    """`colors` or `colors:CELLS`: red, green and blue in 0..1 of CELLS x CELLS cells (3 by default)."""

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        if self.argument and not self.argument.isdecimal():
            raise UserError(f"Expected colors:CELLS, a whole number. Received: {spec!r}.")
        self._cells = int(self.argument or 3)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._cells * self._cells * 3,))

    def _identity(self) -> Sequence[str]:
        """All that the features depend on: the feature cache is keyed by it."""
        return ["shop_search.colors 1", image_files.VERSION, str(self._cells)]

    @property
    def image_size(self) -> tuple[int, int]:
        """Every image is resized to one pixel a cell."""
        return self._cells, self._cells

    def from_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        """Encodes images.

        Args:
            pixels: [batch, CELLS, CELLS, 3] float32, RGB in 0..255.

        Returns:
            [batch, CELLS * CELLS * 3] float32.
        """
        return tf.reshape(pixels / 255.0, (-1, self._cells * self._cells * 3))
