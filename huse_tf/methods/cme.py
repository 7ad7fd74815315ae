"""Cross-modal embeddings by cosine and classes (Salvador et al., CVPR 2017), as the HUSE paper has it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from huse_tf import keys
from huse_tf.methods.two_towers import TwoTowers
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Cme(TwoTowers):
    """An item's image and text alike, those of different items not, and a classifier each.

    Where the authors draw pairs, of which 8 in 10 do not match, this takes all pairs of a batch.
    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "cme"
    shared_classifier: ClassVar[bool] = False

    margin: float = setting(
        0.1,
        "alpha, the cosine up to which non-matching pairs are left alone; .1 in the authors' code.",
        minimum=-1,
        maximum=1,
    )
    non_matching_share: float = setting(
        0.8,
        "Share of non-matching pairs in the cosine loss; .8 in the authors' code.",
        minimum=0,
        maximum=1,
    )
    classification_weight: float = setting(
        0.02,
        "lambda, weight of the cross-entropy beside the cosine loss; .02 in the paper.",
        minimum=0,
    )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.cross_modal_gap import CrossModalGap
        from huse_tf.losses.non_matching import NonMatching
        from huse_tf.losses.objective import Objective

        return Objective(
            terms={
                "classification": classification_term(
                    spec.multi_label, spec.class_shares if adjust_logits else None
                ),
                "cross_modal_gap": CrossModalGap(),
                "non_matching": NonMatching(self.margin),
            },
            targets=(*spec.targets, keys.PRODUCT),
            weights={
                "classification": self.classification_weight,
                "cross_modal_gap": 1.0 - self.non_matching_share,
                "non_matching": self.non_matching_share,
            },
        )
