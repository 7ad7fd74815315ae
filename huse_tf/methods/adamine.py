"""AdaMine: triplets of instances and of classes (Carvalho et al., SIGIR 2018, arXiv 1804.11146)."""

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
class AdaMine(Method):
    """All triplets of a batch in both directions, each level averaged over those that have a loss.

    At the level of classes the authors draw one positive a query; this takes all positives.
    The towers and their front are ours, HUSE's, as in the HUSE paper's comparison.
    """

    name: ClassVar[str] = "adamine"
    preset: ClassVar[Mapping[str, Any]] = RETRIEVAL_PRESET
    probed: ClassVar[bool] = True
    has_cross_entropy: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True
    space: ClassVar[Space] = {
        **TOWERS,
        "margin": Range(0.1, 0.6),
        "semantic_weight": Range(0.01, 1.0, log=True),
    }

    towers: MlpTowers = MlpTowers()
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()
    margin: float = setting(0.3, "alpha, in cosine distance; .3 in the authors' code.", minimum=0)
    semantic_weight: float = setting(
        0.1, "lambda, weight of the triplets of classes; .1 in the authors' code.", minimum=0
    )

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def build_model(self, spec: DataSpec) -> keras.Model:
        return models.probed_model(spec, *self.towers.build(spec, self.embedding_dim))

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        objective = losses.Objective(
            terms={
                "instance": losses.AdaptiveTriplet(self.margin, "item"),
                "semantic": losses.AdaptiveTriplet(self.margin, "class"),
            },
            weights={"instance": 1.0, "semantic": self.semantic_weight},
            targets=spec.pair_targets,
        )
        return self.nested.objective(objective, self.embedding_dim)
