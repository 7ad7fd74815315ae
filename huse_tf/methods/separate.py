"""Separate models: each modality's tower and classifier learn alone (HUSE paper, table 3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.methods.parts import Classifier, MlpTowers, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Space
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Separate(Method):
    """HUSE's towers with a classifier each and no semantics; the modalities share nothing.

    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "separate"
    space: ClassVar[Space] = TOWERS

    towers: MlpTowers = MlpTowers()
    classifier: Classifier = Classifier()
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        return self.nested.extra_outputs(spec.num_classes)

    def build_model(self, spec: DataSpec) -> keras.Model:
        return models.two_tower_model(
            spec,
            *self.towers.build(spec, self.embedding_dim),
            *self.classifier.separate(spec, self.embedding_dim),
            prefixes=self.nested.sizes(self.embedding_dim),
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        shares = spec.class_shares if adjust_logits else None
        term = losses.classification_term(spec.multi_label, shares)
        objective = losses.Objective(
            {"classification": term}, {"classification": 1.0}, spec.targets
        )
        return self.nested.objective(objective, self.embedding_dim)
