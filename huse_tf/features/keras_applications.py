"""Image encoders from keras.applications, each with its own size and preprocessing."""

from __future__ import annotations

import inspect
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import keras

from huse_tf.errors import UserError, unknown_name
from huse_tf.features import image_files
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.features.keras_form import KerasForm, of_images
from huse_tf.features.weights import seed_weights, weights_sha256
from huse_tf.spec import FeatureSpec

# Height and width that a network was trained with, if not DEFAULT_SIZE. Keras knows them only for networks
# with their top, which can be as large as the rest of the network.
DEFAULT_SIZE = 224
SIZES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}


class KerasApplication(ImageEncoder):
    """Encoded images -> [batch, dim] float32: the network's global average pool, or the output of a layer.

    `keras_applications:NAME@WEIGHTS` with a NAME such as VGG16, ResNet50 or EfficientNetB0. WEIGHTS
    is imagenet (the default; downloaded the first time), random (with a fixed seed), or the path of
    a file with the weights of the network without its top.

    `keras_applications:NAME@WEIGHTS#LAYER` gives the output of a dense layer of the network with its top, such as
    `keras_applications:VGG16#fc1`: 4096 numbers, not negative. A file must then hold the weights with the top.
    """

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        network, _, self._layer = self.argument.partition("#")
        name, _, weights = network.partition("@")
        networks = {n: v for n, v in vars(keras.applications).items() if inspect.isfunction(v)}
        if name not in networks:
            raise unknown_name("network of keras.applications", name, networks)
        # Each family of networks has a module with its preprocessing.
        self._preprocess = sys.modules[networks[name].__module__].preprocess_input
        self._size = SIZES.get(name, DEFAULT_SIZE)
        self._network, self._weights = networks[name], weights or "imagenet"
        if self._layer:
            self._model = _load_up_to(self._network, self._size, self._weights, self._layer)
        else:
            self._model = _load(self._network, self._size, self._weights)
        self._sha256 = weights_sha256(self._model)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._model.output.shape[-1],))

    def _identity(self) -> tuple[str, ...]:
        return (self._sha256, self._model.name, image_files.VERSION, "keras_applications 1")

    @property
    def image_size(self) -> tuple[int, int]:
        return self._size, self._size

    def keras_form(self) -> KerasForm:
        return of_images(self.pixels, self.image_size, self.from_pixels)

    def from_pixels(self, pixels: Any) -> Any:
        """[batch, size, size, 3] in 0..255 -> [batch, dim]; of tensors, and of Keras's symbolic ones."""
        return self._model(self._preprocess(pixels), training=False)

    def network(self, size: int, pooled: bool = True) -> keras.Model:
        """A new trainable copy of the network.

        Batch normalisations stay in inference mode, because small batches would spoil their statistics.

        Args:
            size: height and width of the input in pixels.
            pooled: whether the output is pooled.

        Returns:
            A model from [batch, size, size, 3] float32 in 0..255 to [batch, dim], or without pooling to
            [batch, cells, cells, dim].

        Raises:
            UserError: the encoder gives the output of a layer of the top, which needs the network's own size.
        """
        if self._layer:
            raise UserError(
                "A layer of a network's top needs images of the network's own size, so it is no backbone and has "
                f"no patches. Expected the encoder without #{self._layer}. Received: {self.spec!r}."
            )
        model = _load(self._network, size, self._weights, pooled)
        model.trainable = (
            True  # set before wrapping: Keras does not pass it on to the wrapped model
        )
        pixels = keras.Input((size, size, 3), name="image")
        outputs = model(self._preprocess(pixels), training=False)
        return keras.Model(pixels, outputs, name="image_backbone")  # a name that stays the same


def _load(
    network: Callable[..., keras.Model], size: int, weights: str, pooled: bool = True
) -> keras.Model:
    """The network without its top."""
    return _loaded(
        network,
        weights,
        "without its top",
        include_top=False,
        input_shape=(size, size, 3),
        pooling="avg" if pooled else None,
    )


def _load_up_to(
    network: Callable[..., keras.Model], size: int, weights: str, layer: str
) -> keras.Model:
    """The network with its top, up to a layer."""
    model = _loaded(network, weights, "with its top", include_top=True, input_shape=(size, size, 3))
    # The last layer gives the classes of ImageNet, by softmax.
    names = [each.name for each in model.layers[:-1] if isinstance(each, keras.layers.Dense)]
    if layer not in names:
        raise UserError(
            f"Unknown dense layer of {network.__name__}. Expected one of {', '.join(names) or 'none: it has none'}. "
            f"Received: {layer!r}."
        )
    part = keras.Model(model.input, model.get_layer(layer).output, name=f"{model.name}_{layer}")
    part.trainable = False
    return part


def _loaded(
    network: Callable[..., keras.Model], weights: str, what: str, **settings: Any
) -> keras.Model:
    if weights not in ("imagenet", "random") and not pathlib.Path(weights).is_file():
        raise UserError(
            f"Unknown weights of {network.__name__}. Expected imagenet, random, or the path of a weights file. "
            f"Received: {weights!r}, which is not a file."
        )
    try:
        model = network(weights=None if weights == "random" else weights, **settings)
    # A failed download raises a plain Exception; a file of another network raises several types.
    except Exception as error:
        raise UserError(
            f"Cannot load the weights {weights!r} of {network.__name__}. The weights imagenet are downloaded "
            "the first time, which needs a network; a file must hold the weights of the network "
            f"{what}. Alternatives: @random, @PATH, or the image encoder "
            f"efficientnet_lite0. Received: {type(error).__name__}: {error}"
        ) from error
    if weights == "random":
        seed_weights(model)
    model.trainable = False
    return model
