"""HUSE-P: HUSE with embeddings projected onto class names, in place of the graph (arXiv 1911.05978)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.parts import Classifier, MlpTowers
from huse_tf.methods.search import LOSS_WEIGHT, TOWERS, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class HuseP(Method):
    """The ablation of the paper: eq. (13) replaces eq. (11), and the rest is HUSE.

    HUSE learns distances like those of the classes; this draws each item to the name of its class. So D
    is the size of the embedded names, and there is no --embedding_dim.
    """

    name: ClassVar[str] = "huse_p"
    space: ClassVar[Space] = {
        **TOWERS,
        "classification_weight": LOSS_WEIGHT,
        "projection_weight": LOSS_WEIGHT,
        "gap_weight": LOSS_WEIGHT,
    }

    towers: MlpTowers = MlpTowers()
    classifier: Classifier = Classifier()
    classification_weight: float = setting(
        1.0, "alpha, weight of the class-level cross-entropy.", minimum=0
    )
    projection_weight: float = setting(
        1.0, "beta, weight of the projection onto the classes' names.", minimum=0
    )
    gap_weight: float = setting(1.0, "gamma, weight of the cross-modal gap.", minimum=0)

    @property
    def needs_class_embeddings(self) -> bool:
        return True

    def embedding_size(self, spec: DataSpec) -> int:
        return self.class_names(spec).shape[1]

    def build_model(self, spec: DataSpec) -> keras.Model:
        dim = self.embedding_size(spec)
        image_tower, text_tower = self.towers.build(spec, dim)
        classifier = self.classifier.shared(spec, dim)
        return models.two_tower_model(spec, image_tower, text_tower, classifier, classifier)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        shares = spec.class_shares if adjust_logits else None
        return losses.Objective(
            terms={
                "classification": losses.classification_term(spec.multi_label, shares),
                "projection": losses.ClassProjection(self.class_names(spec)),
                "cross_modal_gap": losses.CrossModalGap(),
            },
            weights={
                "classification": self.classification_weight,
                # Eq. (13) is the sum over both modalities, the term their mean.
                "projection": 2.0 * self.projection_weight,
                "cross_modal_gap": self.gap_weight,
            },
            targets=spec.targets,
        )
