"""Image networks to train together with a tower, by the names of the frozen encoders."""

from __future__ import annotations

import random

import keras

from huse_tf.errors import UserError, unknown_name
from huse_tf.features.augmentation import augmentation
from huse_tf.features.registry import make_image_encoder
from huse_tf.spec import FeatureSpec

NAMES = ("efficientnet_lite0", "keras_applications")


def input_layers(backbone: str, changes: str, features: FeatureSpec) -> list[keras.Layer]:
    """What stands before an image tower that is trained on images; nothing where it is not.

    Args:
        backbone: `efficientnet_lite0`, `keras_applications:NAME@WEIGHTS`, or "" for none. The
            network starts with the pretrained weights and has them trained.
        changes: random ones of the images while training (`augmentation`); "" for none.
        features: of the image encoder; images (height, width, 3) or vectors (dim,).

    Returns:
        Layers from [batch, *features.shape] to [batch, dim] float32.

    Raises:
        UserError: the three do not go together, an unknown name, or weights that are not installed.
    """
    images = len(features.shape) == 3
    if images != bool(backbone):
        raise UserError(
            "--image_encoder=pixels:SIZE and --image_backbone=NAME go together: images as they are, "
            f"and the network that is trained on them. Received: --image_backbone={backbone!r} and "
            f"image features of shape {features.shape}."
        )
    if changes and not images:
        raise UserError(
            "--augmentation changes images while a network is trained on them, and a frozen encoder "
            "saw each image once. Expected --image_encoder=pixels:SIZE and --image_backbone. "
            f"Received: --augmentation={changes}."
        )
    if not images:
        return []
    name = backbone.partition(":")[0]
    if name not in NAMES:
        raise unknown_name("image backbone", name, NAMES)
    network = make_image_encoder(backbone).network(features.shape[0])
    if not network.trainable_variables:
        raise RuntimeError(f"{backbone} came frozen; a defect of huse_tf.")
    # Python's generator, which the seed of the run has set.
    layers = [augmentation(changes, seed=random.getrandbits(31))] if changes else []
    return [*layers, network]
