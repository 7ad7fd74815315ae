"""HUSE-P: HUSE with embeddings projected onto class names, in place of the graph (arXiv 1911.05978)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from huse_tf.methods.class_space import ClassSpace
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class HuseP(ClassSpace):
    """The ablation of the paper: eq. (13) stands where eq. (11) stood, all else is HUSE.

    Where HUSE imitates distances of classes, this puts every item at its class's name.
    """

    name: ClassVar[str] = "huse_p"

    classification_weight: float = setting(
        1.0, "alpha, weight of the class-level cross-entropy.", minimum=0
    )
    projection_weight: float = setting(
        1.0, "beta, weight of the projection onto the classes' names.", minimum=0
    )
    gap_weight: float = setting(1.0, "gamma, weight of the cross-modal gap.", minimum=0)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.class_projection import ClassProjection
        from huse_tf.losses.classification import classification_term
        from huse_tf.losses.cross_modal_gap import CrossModalGap
        from huse_tf.losses.objective import Objective

        return Objective(
            terms={
                "classification": classification_term(
                    spec.multi_label, spec.class_shares if adjust_logits else None
                ),
                "projection": ClassProjection(self.vectors(spec)),
                "cross_modal_gap": CrossModalGap(),
            },
            targets=spec.targets,
            weights={
                "classification": self.classification_weight,
                # Eq. (13) is the sum over both modalities, the term their mean.
                "projection": 2.0 * self.projection_weight,
                "cross_modal_gap": self.gap_weight,
            },
        )
