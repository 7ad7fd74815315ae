"""Cross-modal embeddings by cosine and classes (Salvador et al., CVPR 2017), as the HUSE paper has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import Method
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.methods.parts import Classifier, MlpTowers, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Cme(Method):
    """An item's image and text alike, those of different items not, and a classifier each.

    The authors draw pairs, of which 8 in 10 do not match; this takes all pairs of a batch.
    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "cme"
    space: ClassVar[Space] = {
        **TOWERS,
        "margin": Range(-0.1, 0.5),
        "non_matching_share": Range(0.3, 0.9),
        "classification_weight": Range(0.005, 1.0, log=True),
    }

    towers: MlpTowers = MlpTowers()
    classifier: Classifier = Classifier()
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()
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
        objective = losses.Objective(
            terms={
                "classification": losses.classification_term(spec.multi_label, shares),
                "cross_modal_gap": losses.CrossModalGap(),
                "non_matching": losses.NonMatching(self.margin),
            },
            weights={
                "classification": self.classification_weight,
                "cross_modal_gap": 1.0 - self.non_matching_share,
                "non_matching": self.non_matching_share,
            },
            targets=spec.pair_targets,
        )
        return self.nested.objective(objective, self.embedding_dim)
