"""VSE++: image-text matching against the hardest negative (Faghri et al. 2018, arXiv 1707.05612)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from huse_tf import losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import OWN_PRODUCT, Method
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.methods.parts import MlpTowers, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class VsePp(Method):
    """An item's image finds its text among all products of a batch, and its text the image; no classes.

    Against the hardest negative deep towers collapse: all embeddings become one, and the loss stays at
    the margin. So the image tower has one hidden layer. The paper's has none, only a linear layer.
    The towers and their front are ours, HUSE's, and not the paper's.
    """

    name: ClassVar[str] = "vse_pp"
    preset: ClassVar[Mapping[str, Any]] = {"monitor": OWN_PRODUCT}
    probed: ClassVar[bool] = True
    has_cross_entropy: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True
    space: ClassVar[Space] = {
        **TOWERS,
        "margin": Range(0.05, 0.5),
    }

    towers: MlpTowers = MlpTowers(image_layers=(512,))
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()
    margin: float = setting(0.2, "alpha, in cosine; .2 in the paper.", minimum=0)

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def build_model(self, spec: DataSpec) -> keras.Model:
        return models.probed_model(spec, *self.towers.build(spec, self.embedding_dim))

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        objective = losses.Objective(
            terms={"matching": losses.HardestNegative(self.margin)},
            weights={"matching": 1.0},
            targets=spec.pair_targets,
        )
        return self.nested.objective(objective, self.embedding_dim)
