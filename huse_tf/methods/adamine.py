"""AdaMine: triplets of instances and of classes (Carvalho et al., SIGIR 2018, arXiv 1804.11146)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from huse_tf.methods.probed import Probed
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class AdaMine(Probed):
    """All triplets of a batch in both directions, each level averaged over those that have a loss.

    At the level of classes the authors draw one positive a query; this takes all there are.
    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "adamine"
    needs_pairs: ClassVar[bool] = True

    margin: float = setting(0.3, "alpha, in cosine distance; .3 in the authors' code.", minimum=0)
    semantic_weight: float = setting(
        0.1, "lambda, weight of the triplets of classes; .1 in the authors' code.", minimum=0
    )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.adaptive_triplet import AdaptiveTriplet

        return self.objective(
            spec,
            adjust_logits,
            {
                "instance": AdaptiveTriplet(self.margin, "item"),
                "semantic": AdaptiveTriplet(self.margin, "class"),
            },
            {"instance": 1.0, "semantic": self.semantic_weight},
        )
