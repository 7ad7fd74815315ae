"""Separate models: what each modality's tower and classifier learn alone (HUSE paper, table 3)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from huse_tf.methods.two_towers import TwoTowers
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Separate(TwoTowers):
    """HUSE's towers with a classifier each and no semantics; the modalities share nothing.

    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "separate"
    shared_classifier: ClassVar[bool] = False

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.objective import Objective

        term = classification_term(spec.multi_label, spec.class_shares if adjust_logits else None)
        return Objective({"classification": term}, {"classification": 1.0}, spec.targets)
