"""HUSE with a contrastive term across modalities and a shallower image tower: our variant, not the paper's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from huse_tf import keys
from huse_tf.methods.base import DataSpec
from huse_tf.methods.huse import Huse
from huse_tf.settings import setting

if TYPE_CHECKING:
    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class HusePlus(Huse):
    """HUSE's three losses, and a fourth that no text of another class comes between an image and its own.

    The gap (eq. 12) draws an item's image and text together and knows no negatives; the graph loss
    lets go of a pair as soon as either distance exceeds the margin (eq. 10). What is left for wrong
    neighbours in the other modality is the classifier, and this term.
    """

    name: ClassVar[str] = "huse_plus"

    image_layers: tuple[int, ...] = setting(
        (512,), "Widths of the image tower's hidden layers.", minimum=1
    )
    contrast_weight: float = setting(
        1.0, "Weight of the contrast of classes across modalities.", minimum=0
    )
    contrast_temperature: float = setting(
        0.1, "Temperature of that contrast; small ones look at the nearest only.", minimum=0.01
    )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.info_nce import InfoNce

        huse = super().build_objective(spec, adjust_logits)
        weights = cast(Mapping[str, float], huse.weights)
        return dataclasses.replace(
            huse,
            terms={**huse.terms, "contrast": InfoNce("class", self.contrast_temperature)},
            weights={**weights, "contrast": self.contrast_weight},
            targets=(*huse.targets, keys.PRODUCT),
        )
