"""The encoder `patches`: features of the patches of an image (FashionBERT, Gao et al. 2020, 3.1)."""

from __future__ import annotations

import re

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.encoder import Encoder
from huse_tf.features.image_encoder import ImageEncoder
from huse_tf.spec import FeatureSpec

NETWORKS = ("efficientnet_lite0", "keras_applications")  # encoders that have `network`
# Pixels a side of a patch. The paper cuts images of 256 pixels into 8 x 8 patches of 32. A cell of the last
# feature map of these networks also covers 32 pixels, so 64 patches cost little more than one image.
DEFAULT_SIZE = 32
CELL = 32
_ARGUMENT = re.compile(r"([1-9]|1[0-6]):(.+?)(?:@(\d+|map))?")


class Patches(ImageEncoder):
    """Encoded images -> [batch, grid * grid, dim] float32, the patches in reading order.

    `patches:GRID:ENCODER`, such as `patches:8:efficientnet_lite0`, cuts an image into GRID x GRID patches
    of 32 pixels and runs the network on each patch, up to its average pool
    (`patches:8:keras_applications:ResNet50` gives 64 x 2048, as FashionBERT's released code).
    `patches:GRID:ENCODER@SIZE` makes patches of SIZE pixels. With `@map` the network runs on the whole
    image, and the features of a patch are its cell of the last feature map, before the pool. They then
    depend on the surroundings of the patch.
    """

    takes_argument = True

    @classmethod
    def inner(cls, spec: str) -> str:
        return _parsed(spec)[2]

    def __init__(self, spec: str, network: Encoder) -> None:
        super().__init__(spec)
        self._grid, size, _ = _parsed(spec)
        self._is_map = size == "map"
        self._size = int(size) if size and not self._is_map else DEFAULT_SIZE
        self._source = network.fingerprint
        if self._is_map:
            self._network = network.network(self._grid * CELL, pooled=False)
            if self._network.output.shape[1:3] != (self._grid, self._grid):
                raise UserError(
                    f"The last map of this network has {self._network.output.shape[1]} cells a side for "
                    f"{self._grid * CELL} pixels, and not {self._grid}. Expected the encoder without @map. "
                    f"Received: {spec!r}."
                )
        else:
            self._network = network.network(self._size)
        self._network.trainable = False

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._grid**2, self._network.output.shape[-1]))

    def _identity(self) -> tuple[str, ...]:
        how = "map" if self._is_map else str(self._size)
        return (self._source, str(self._grid), how, image_files.VERSION, "patches 1")

    @property
    def image_size(self) -> tuple[int, int]:
        side = self._grid * (CELL if self._is_map else self._size)
        return side, side

    def from_pixels(self, pixels: tf.Tensor) -> tf.Tensor:
        if not self._is_map:
            pixels = cut(pixels, self._grid)
        features = self._network(pixels, training=False)
        return tf.reshape(features, (-1, *self.feature_spec.shape))


def _parsed(spec: str) -> tuple[int, str | None, str]:
    """(patches a side, pixels of a patch or "map" or None, spec of the network)."""
    match = _ARGUMENT.fullmatch(spec.partition(":")[2])
    if not match or match[2].partition(":")[0] not in NETWORKS or match[3] == "0":
        raise UserError(
            "The image encoder patches takes a grid from 1 to 16 and a network, "
            f"{' or '.join(NETWORKS)}, such as patches:8:efficientnet_lite0, "
            f"patches:8:efficientnet_lite0@64 or patches:8:efficientnet_lite0@map. Received: {spec!r}."
        )
    return int(match[1]), match[3], match[2]


def cut(pixels: tf.Tensor, grid: int) -> tf.Tensor:
    """[batch, grid * size, grid * size, 3] -> [batch * grid * grid, size, size, 3], in reading order."""
    size = pixels.shape[1] // grid
    rows = tf.reshape(pixels, (-1, grid, size, grid, size, 3))
    return tf.reshape(tf.transpose(rows, (0, 1, 3, 2, 4, 5)), (-1, size, size, 3))
