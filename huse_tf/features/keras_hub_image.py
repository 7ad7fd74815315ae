"""Image encoders from keras-hub, such as ResNet, EfficientNet, ViT, and the image halves of CLIP and SigLIP."""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.features.keras_form import KerasForm, of_images
from huse_tf.features.keras_hub_pair import PairImages, is_pair, rescaling
from huse_tf.features.keras_hub_preset import from_preset, load_backbone
from huse_tf.features.weights import weights_sha256
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec


class KerasHubImage(ImageEncoder):
    """Encoded images -> [batch, dim] float32: the backbone's output, averaged over positions.

    Of a CLIP or SigLIP it is the image's place in the space that it shares with texts, of unit norm.

    `keras_hub:PRESET` with the name of a preset (resnet_50_imagenet) or the path of its folder.
    `keras_hub:PRESET@random` leaves the weights untrained. The preset's image converter sets the size and
    range of pixels.
    """

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self._pair: PairImages | None = None
        self._backbone, preset = load_backbone(self.argument)
        if is_pair(self._backbone):
            self._pair, self._backbone = PairImages(self._backbone, preset), None
            return
        self._converter = from_preset(keras_hub.layers.ImageConverter.from_preset, preset)
        if isinstance(self._backbone.output, dict) or self._converter.image_size is None:
            raise UserError(
                "Expected a preset of an image backbone with one output, and an image converter "
                f"with a size. Received: {spec!r}, a {type(self._backbone).__name__}."
            )
        self._size = tuple(self._converter.image_size)
        self._sha256 = sha256(weights_sha256(self._backbone), str(self._converter.get_config()))

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._pair.dim if self._pair else self._backbone.output.shape[-1],))

    def _identity(self) -> tuple[str, ...]:
        if self._pair:
            return (self._pair.sha256, image_files.VERSION, "keras_hub_pair 1")
        return (self._sha256, image_files.VERSION, "keras_hub_image 1")

    @property
    def image_size(self) -> tuple[int, int]:
        return self._pair.size if self._pair else self._size

    @property
    def convert(self) -> image_files.Convert | None:
        return self._pair.converter if self._pair else None

    def from_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        if self._pair:
            return self._pair(pixels)
        return self._pooled(self._converter(pixels))

    def keras_form(self) -> KerasForm:
        if self._pair:
            return self._pair.keras_form()
        scaled = rescaling(self._converter)
        return of_images(
            self.pixels,
            self._size,
            lambda pixels: self._pooled(scaled(pixels)),
        )

    def _pooled(self, pixels: Any) -> Any:
        outputs = self._backbone(pixels, training=False)
        return keras.ops.mean(outputs, axis=tuple(range(1, len(outputs.shape) - 1)))
