"""Image networks that are trained with a tower, by the names of the frozen encoders."""

from __future__ import annotations

import random

import keras

from huse_tf.errors import UserError, unknown_name
from huse_tf.features.augmentation import augmentation
from huse_tf.features.registry import make_image_encoder
from huse_tf.spec import FeatureSpec

NAMES = ("efficientnet_lite0", "keras_applications")


def input_layers(backbone: str, changes: str, features: FeatureSpec) -> list[keras.Layer]:
    """The layers from the image encoder's features to the input of the image tower.

    Args:
        backbone: `efficientnet_lite0` or `keras_applications:NAME@WEIGHTS`, a network that is trained
            from its pretrained weights; "" for frozen features.
        changes: random augmentation of images in training (`augmentation`); "" for none.
        features: features of the image encoder: images (height, width, 3) or vectors (dim,).

    Returns:
        Layers from [batch, height, width, 3] to [batch, dim] float32; [] for vectors.

    Raises:
        UserError: the arguments contradict each other, the name is unknown, or weights are missing.
    """
    images = len(features.shape) == 3
    if images != bool(backbone):
        raise UserError(
            "--image_encoder=pixels:SIZE and --image_backbone=NAME go together: the images, and the "
            f"network that is trained on them. Received: --image_backbone={backbone!r} and image "
            f"features of shape {features.shape}."
        )
    if changes and not images:
        raise UserError(
            "--augmentation changes images for a network that is trained on them, and a frozen encoder "
            "sees each image only once. Expected --image_encoder=pixels:SIZE and --image_backbone. "
            f"Received: --augmentation={changes}."
        )
    if not images:
        return []
    name = backbone.partition(":")[0]
    if name not in NAMES:
        raise unknown_name("image backbone", name, NAMES)
    network = make_image_encoder(backbone).network(features.shape[0])
    if not network.trainable_variables:
        raise RuntimeError(f"{backbone} is frozen; a defect of huse_tf.")
    # Python's global generator, which the seed of the run has set.
    layers = [augmentation(changes, seed=random.getrandbits(31))] if changes else []
    return [*layers, network]
