"""SigLIP's sigmoid loss with a learned temperature and bias (Zhai et al. 2023, arXiv 2303.15343)."""

from __future__ import annotations

import dataclasses
import math
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
class SigLip(Method):
    """Each pair of a batch is classified as right or wrong by itself.

    The towers and their front are ours, and not the paper's: frozen features need few layers.
    """

    name: ClassVar[str] = "siglip"
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
        0.1, "Temperature at the start; it is learned. .1 in the paper.", minimum=0.01
    )
    logit_bias: float = setting(
        -10.0,
        "Bias of the logits at the start; it is learned. -10 in the paper, for wrong pairs outnumber "
        "right ones.",
    )

    def embedding_size(self, spec: DataSpec) -> int:
        return self.embedding_dim

    def extra_outputs(self, spec: DataSpec) -> Mapping[str, tuple[int, ...]]:
        return {keys.LOGIT_SCALE: (1,), keys.LOGIT_BIAS: (1,)}

    def build_model(self, spec: DataSpec) -> keras.Model:
        # === Towers, with probes ===
        towers = models.probed_model(spec, *self.towers.build(spec, self.embedding_dim))

        # === Learned scale and bias of the similarities ===
        any_row = towers.output[keys.IMAGE_EMBEDDING]
        constant = keras.initializers.Constant
        start = constant(-math.log(self.temperature))
        log_scale = heads.trainable_row(1, any_row, "log_scale", start)
        bias = heads.trainable_row(1, any_row, "logit_bias", constant(self.logit_bias))

        # === Functional model ===
        outputs = {
            **towers.output,
            keys.LOGIT_SCALE: heads.on_every_row(keras.ops.exp(log_scale), any_row),
            keys.LOGIT_BIAS: heads.on_every_row(bias, any_row),
        }
        return keras.Model(towers.input, outputs, name=towers.name)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> losses.Objective:
        self.refuse_adjusted_logits(adjust_logits)
        objective = losses.Objective(
            terms={"contrast": losses.PairwiseSigmoid(self.positives)},
            weights={"contrast": 1.0},
            targets=spec.pair_targets,
        )
        return self.nested.objective(objective, self.embedding_dim)
