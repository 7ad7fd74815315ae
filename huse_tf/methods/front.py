"""The settings of what stands before the layers of a method's towers (`towers.front`).

A method has the front of its own paper: features as they come, unless it says otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from huse_tf.methods.base import Method
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras


def input_dropout_setting(default: float) -> Any:
    """A field `input_dropout`, for a method of its own default."""
    return setting(
        default,
        "Dropout of the towers' features; keeps small catalogues from being learnt by heart.",
        minimum=0,
        maximum=0.95,
    )


def image_power_setting(default: float) -> Any:
    """Likewise a field `image_power`."""
    return setting(
        default,
        "Signed power |x|^p of the image features, which evens out what few strong units outshine "
        "(0.5: square root; 1: as they come).",
        minimum=0.1,
        maximum=1,
    )


@dataclasses.dataclass(frozen=True)
class FeatureFront(Method):
    """Features as encoders give them."""

    input_dropout: float = input_dropout_setting(0.0)
    image_power: float = image_power_setting(1.0)

    def picture_layers(self, spec: DataSpec) -> Sequence[keras.Layer]:
        """The layers that turn pictures into features; none here, where pictures as they are are refused."""
        from huse_tf.features.image_backbones import input_layers

        return input_layers("", "", spec.image)


@dataclasses.dataclass(frozen=True)
class PictureFront(FeatureFront):
    """Likewise, or pictures through a network that is trained along."""

    image_backbone: str = setting(
        "",
        "Image network to train along, on --image_encoder=pixels:SIZE: efficientnet_lite0 or "
        "keras_applications:NAME@WEIGHTS.",
    )
    augmentation: str = setting(
        "",
        "Random changes of the pictures for --image_backbone, joined by +: flip, crop, color, randaugment.",
    )

    def picture_layers(self, spec: DataSpec) -> Sequence[keras.Layer]:
        from huse_tf.features.image_backbones import input_layers

        return input_layers(self.image_backbone, self.augmentation, spec.image)
