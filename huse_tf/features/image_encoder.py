"""`ImageEncoder`, an encoder that decodes images to one size and runs a network on the pixels."""

from __future__ import annotations

import abc

import tensorflow as tf

from huse_tf.features import image_files
from huse_tf.features.encoder import Encoder


class ImageEncoder(Encoder):
    """Encoded image files -> features, by way of pixels.

    A subclass defines `image_size`, `from_pixels`, `feature_spec` and `_identity`. An image that cannot be
    decoded then costs an export one row, and no other row is encoded again.
    """

    @property
    @abc.abstractmethod
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the pixels that `from_pixels` takes."""

    @property
    def convert(self) -> image_files.Convert | None:
        """How images are prepared (see `image_files.decode`). None: by the one rule."""
        return None

    @abc.abstractmethod
    def from_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        """Encodes [batch, height, width, 3] float32, RGB in 0..255, or what `convert` gives."""

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """Encodes [batch] strings."""
        return self.from_pixels(self.pixels(inputs))

    def pixels(self, inputs: tf.Tensor) -> tf.Tensor:
        """The input of `from_pixels` for [batch] strings."""
        return image_files.decode(inputs, self.image_size, self.convert)

    def encode_rows(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `Encoder.encode_rows`, with the reason of each image. Every image is decoded once."""
        pixels, reasons = image_files.decode_each(inputs, self.image_size, self.convert)
        return self.from_pixels(pixels), reasons
