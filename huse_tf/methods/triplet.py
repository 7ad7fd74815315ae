"""Triplets of classes with semi-hard negatives (FaceNet: Schroff et al. 2015, arXiv 1503.03832)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from huse_tf.methods.probed import Probed
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Triplet(Probed):
    """The baseline of the HUSE paper: anchors, positives and negatives of either modality.

    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "triplet"

    margin: float = setting(
        0.2, "alpha, in squared Euclidean distance of unit vectors; .2 in FaceNet.", minimum=0
    )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.semi_hard_triplet import SemiHardTriplet

        term = SemiHardTriplet(self.margin)
        return self.objective(spec, adjust_logits, {"triplet": term}, {"triplet": 1.0})
