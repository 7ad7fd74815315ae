"""DeViSE*: DeViSE's loss on the towers of HUSE, as the HUSE paper compares with (arXiv 1911.05978, section 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from huse_tf.methods.devise import Devise
from huse_tf.methods.front import image_power_setting, input_dropout_setting
from huse_tf.settings import setting


@dataclasses.dataclass(frozen=True)
class DeviseStar(Devise):
    """DeViSE with the layers, the front and the training that all baselines of the HUSE paper share.

    The front is ours, HUSE's: dropout of features and the square root of image features.
    """

    name: ClassVar[str] = "devise_star"
    preset: ClassVar[Mapping[str, Any]] = {}

    input_dropout: float = input_dropout_setting(0.3)
    image_power: float = image_power_setting(0.5)
    image_layers: tuple[int, ...] = setting(
        (512,) * 5, "Widths of hidden layers before the image's map.", minimum=1
    )
    text_layers: tuple[int, ...] = setting(
        (512,) * 2, "Widths of hidden layers before the text's map.", minimum=1
    )
