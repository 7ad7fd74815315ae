"""CLIP's contrastive loss with a learned temperature (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from huse_tf import heads, keys, losses, models
from huse_tf.lazy import keras
from huse_tf.methods.base import CONTRASTIVE_PRESET, Method
from huse_tf.methods.matryoshka import Matryoshka
from huse_tf.methods.parts import MlpTowers, embedding_dim_setting
from huse_tf.methods.search import TOWERS, Range, Space
from huse_tf.settings import setting
from huse_tf.spec import DataSpec


@dataclasses.dataclass(frozen=True)
class Clip(Method):
    """An image finds its own text in the batch, one of its product, or one of its class; and vice versa.

    The towers and their front are ours, and not the paper's: frozen features need few layers.
    """

    name: ClassVar[str] = "clip"
    preset: ClassVar[Mapping[str, Any]] = CONTRASTIVE_PRESET
    probed: ClassVar[bool] = True
    has_cross_entropy: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = True
    space: ClassVar[Space] = {
        **TOWERS,
        "temperature": Range(0.02, 0.3, log=True),
    }

    towers: MlpTowers = MlpTowers(image_layers=(512, 512), text_layers=(512,))
    embedding_dim: int = embedding_dim_setting()
    nested: Matryoshka = Matryoshka()
    positives: Literal["item", "product", "class"] = setting(
        "item", "Which images and texts are drawn together: of one item, product or class."
    )
    temperature: float = setting(
        0.07, "Temperature at the start; it is learned. .07 in the paper.", minimum=0.01
    )

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        return {keys.LOGIT_SCALE: (1,)}

    def build_model(self, spec: DataSpec) -> keras.Model:
        # === Towers, with probes ===
        towers = models.probed_model(spec, *self.towers.build(spec, self.embedding_dim))

        # === Learned scale of the similarities ===
        scale = heads.logit_scale(self.temperature, towers.output[keys.IMAGE_EMBEDDING])

        # === Functional model ===
        outputs = {**towers.output, keys.LOGIT_SCALE: scale}
        return keras.Model(towers.input, outputs, name=towers.name)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        objective = losses.Objective(
            terms={"contrast": losses.InfoNce(self.positives)},
            weights={"contrast": 1.0},
            targets=spec.pair_targets,
        )
        return self.nested.objective(objective, self.embedding_dim)
