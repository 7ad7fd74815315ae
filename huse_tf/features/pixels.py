"""The encoder `pixels`: resized images, for image networks that are trained with the tower."""

from __future__ import annotations

import keras
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.features.keras_form import KerasForm, of_images
from huse_tf.spec import FeatureSpec

MAX_SIZE = 1024


class Pixels(ImageEncoder):
    """Encoded images -> [batch, size, size, 3] float32 in 0..255; `pixels:SIZE`.

    The features are computed batch by batch and not cached, because they are larger than the images.
    """

    takes_argument = True
    lazy = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        if not (self.argument.isdecimal() and 16 <= int(self.argument) <= MAX_SIZE):
            raise UserError(
                f"The image encoder pixels takes a height and width from 16 to {MAX_SIZE}, such as "
                f"pixels:224. Received: {spec!r}."
            )
        self._size = int(self.argument)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._size, self._size, 3))

    def _identity(self) -> tuple[str, ...]:
        return (str(self._size), image_files.VERSION, "pixels 1")

    @property
    def image_size(self) -> tuple[int, int]:
        return self._size, self._size

    def from_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        return pixels

    def keras_form(self) -> KerasForm:
        return of_images(self.pixels, self.image_size, keras.layers.Identity())
