"""Triplets of classes with semi-hard negatives (FaceNet: Schroff et al. 2015, arXiv 1503.03832)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import RETRIEVAL_PRESET, Method
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.methods.parts import MlpTowers, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Triplet(Method):
    """The baseline of the HUSE paper: anchors, positives and negatives of either modality.

    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "triplet"
    preset: ClassVar[Mapping[str, Any]] = RETRIEVAL_PRESET
    probed: ClassVar[bool] = True
    has_cross_entropy: ClassVar[bool] = False
    space: ClassVar[Space] = {
        **TOWERS,
        "margin": Range(0.05, 0.5),
    }

    towers: MlpTowers = MlpTowers()
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()
    margin: float = setting(
        0.2, "alpha, in squared Euclidean distance of unit vectors; .2 in FaceNet.", minimum=0
    )

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def build_model(self, spec: DataSpec) -> keras.Model:
        return models.probed_model(spec, *self.towers.build(spec, self.embedding_dim))

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        objective = losses.Objective(
            terms={"triplet": losses.SemiHardTriplet(self.margin)},
            weights={"triplet": 1.0},
            targets=spec.pair_targets,
        )
        return self.nested.objective(objective, self.embedding_dim)
