"""What methods share that learn embeddings only, and are asked for classes through linear probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from huse_tf import keys
from huse_tf.methods.base import DataSpec
from huse_tf.methods.two_towers import TwoTowers
from huse_tf.settings import setting

if TYPE_CHECKING:
    from huse_tf.losses.term import LossTerm
    from huse_tf.training.objective import Objective


@dataclasses.dataclass(frozen=True)
class Probed(TwoTowers):
    """A classifier each, which learns along on embeddings that it does not move."""

    shared_classifier: ClassVar[bool] = False
    detached_classifier: ClassVar[bool] = True

    classifier_norm: float = setting(
        0.01,
        "Length of the probes' class vectors at the start: short, for no embedding turns to them.",
        minimum=0,
    )

    def objective(
        self,
        spec: DataSpec,
        adjust_logits: bool,
        terms: Mapping[str, LossTerm],
        weights: Mapping[str, float],
    ) -> Objective:
        """The method's own terms, which may read PRODUCT, and the probes' cross-entropy."""
        from huse_tf.losses.classification import classification_term
        from huse_tf.training.objective import Objective

        probes = classification_term(spec.multi_label, spec.class_shares if adjust_logits else None)
        return Objective(
            {"classification": probes, **terms},
            {"classification": 1.0, **weights},
            (*spec.targets, keys.PRODUCT),
        )
