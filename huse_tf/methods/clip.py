"""CLIP's contrastive loss with a learned temperature (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal

from huse_tf import keys
from huse_tf.methods.probed import Probed
from huse_tf.settings import setting
from huse_tf.spec import DataSpec

if TYPE_CHECKING:
    import keras

    from huse_tf.losses.objective import Objective


@dataclasses.dataclass(frozen=True)
class Clip(Probed):
    """Items find their own other half, one of their product, or one of their class in the batch.

    The towers and their front are ours, HUSE's, and not the paper's.
    """

    name: ClassVar[str] = "clip"
    needs_pairs: ClassVar[bool] = True

    positives: Literal["item", "product", "class"] = setting(
        "item", "What an item's image and text are drawn to: that of the item, product or class."
    )
    temperature: float = setting(
        0.07, "Temperature at the start; it is learned. .07 in the paper.", minimum=0.01
    )

    def build_model(self, spec: DataSpec) -> keras.Model:
        import math

        import keras

        from huse_tf.heads.variables import on_every_row, trainable_row

        towers = super().build_model(spec)
        like = towers.output[keys.IMAGE_EMBEDDING]
        start = keras.initializers.Constant(-math.log(self.temperature))
        scale = keras.ops.exp(trainable_row(1, like, "log_scale", start))
        # The paper's bound, without which training may become unstable. Its gradient is that of no
        # bound, or a scale that once got there could not come back.
        excess = keras.ops.stop_gradient(keras.ops.maximum(scale - 100.0, 0.0))
        scale = on_every_row(scale - excess, like)
        return keras.Model(
            towers.input, {**towers.output, keys.LOGIT_SCALE: scale}, name=towers.name
        )

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.info_nce import InfoNce

        term = InfoNce(self.positives)
        return self.objective(spec, adjust_logits, {"contrast": term}, {"contrast": 1.0})
