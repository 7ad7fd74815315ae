"""HUSE with class names as classifier, a contrast across modalities and one image layer: ours, not the paper's."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np

from huse_tf import losses
from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.methods.parts import MlpTowers
from huse_tf.methods.search import LOSS_WEIGHT, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class HusePlus(Huse):
    """HUSE's three losses, a contrast of classes across modalities, and the projection of HUSE-P.

    The gap (eq. 12) draws an item's image and text together and has no negatives. The graph loss ignores
    a pair as soon as one of its distances exceeds the margin (eq. 10). So little in HUSE keeps the texts
    of other classes away from an image; the contrast does.

    The shared classifier scores by the names of the classes in place of learned vectors: a learned vector
    says little of items unlike the training items of its class, and the name says more. The projection
    (eq. 13) draws items to the names without pushing classes of similar names apart.
    """

    name: ClassVar[str] = "huse_plus"
    space: ClassVar[Space] = {
        **Huse.space,
        "projection_weight": LOSS_WEIGHT,
        "contrast_weight": LOSS_WEIGHT,
        "contrast_temperature": Range(0.02, 0.5, log=True),
    }

    towers: MlpTowers = MlpTowers(image_layers=(512,))
    classification_weight: float = setting(
        3.0, "alpha, weight of the class-level cross-entropy.", minimum=0
    )
    projection_weight: float = setting(
        3.0, "Weight of the projection onto the classes' names.", minimum=0
    )
    contrast_weight: float = setting(
        1.0, "Weight of the contrast of classes across modalities.", minimum=0
    )
    contrast_temperature: float = setting(
        0.1, "Temperature of that contrast; small ones look at the nearest only.", minimum=0.01
    )
    classifier_vectors: Literal["names", "learned"] = setting(
        "names",
        "Class vectors of the classifier: the names of the classes by --class_encoder, not trained, or "
        "learned vectors (where names are mere codes).",
    )

    @property
    def frozen_weights(self) -> int:
        return 2 if self.classifier_vectors == "names" else 0

    @property
    def names_unseen_classes(self) -> bool:
        return self.classifier_vectors == "names"

    @property
    def needs_class_embeddings(self) -> bool:
        return self.classifier_vectors == "names" or self.projection_weight > 0

    def class_vectors(self, spec: DataSpec) -> np.ndarray | None:
        return self._padded_names(spec) if self.classifier_vectors == "names" else None

    def _padded_names(self, spec: DataSpec) -> np.ndarray:
        """[K, D] of unit norm: the embedded class names, padded with zeros to the size of the embedding."""
        names = self.class_names(spec)
        missing = self.embedding_dim - names.shape[1]
        if missing < 0:
            raise UserError(
                "The embedding is smaller than the embedded class names. Expected "
                f"--embedding_dim={names.shape[1]} or more, or --classifier_vectors=learned "
                f"--projection_weight=0. Received: --embedding_dim={self.embedding_dim}."
            )
        return np.pad(names, ((0, 0), (0, missing)))

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        terms: dict[str, losses.LossTerm] = {
            "contrast": losses.InfoNce("class", self.contrast_temperature)
        }
        weights = {"contrast": self.contrast_weight}
        if self.projection_weight > 0:
            terms["projection"] = losses.ClassProjection(self._padded_names(spec))
            # Eq. (13) is the sum over both modalities, the term their mean.
            weights["projection"] = 2.0 * self.projection_weight
        huse = super().build_objective(spec, adjust_logits)
        return huse.plus(losses.Objective(terms, weights, spec.pair_targets))
