"""SigLIP's sigmoid loss with a learned temperature and bias (Zhai et al. 2023, arXiv 2303.15343)."""

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
class SigLip(Probed):
    """Each pair of a batch is told right or wrong by itself.

    The towers and their front are ours, HUSE's, and not the paper's.
    """

    name: ClassVar[str] = "siglip"
    needs_pairs: ClassVar[bool] = True

    positives: Literal["item", "product", "class"] = setting(
        "item", "What an item's image and text are drawn to: that of the item, product or class."
    )
    temperature: float = setting(
        0.1, "Temperature at the start; it is learned. .1 in the paper.", minimum=0.01
    )
    logit_bias: float = setting(
        -10.0,
        "Bias of the logits at the start; it is learned. -10 in the paper, for wrong pairs outnumber "
        "right ones.",
    )

    def build_model(self, spec: DataSpec) -> keras.Model:
        import math

        import keras

        from huse_tf.heads.variables import on_every_row, trainable_row

        towers = super().build_model(spec)
        like = towers.output[keys.IMAGE_EMBEDDING]
        constant = keras.initializers.Constant
        log_scale = trainable_row(1, like, "log_scale", constant(-math.log(self.temperature)))
        bias = trainable_row(1, like, "logit_bias", constant(self.logit_bias))
        pair_logits = {
            keys.LOGIT_SCALE: on_every_row(keras.ops.exp(log_scale), like),
            keys.LOGIT_BIAS: on_every_row(bias, like),
        }
        return keras.Model(towers.input, {**towers.output, **pair_logits}, name=towers.name)

    def build_objective(self, spec: DataSpec, adjust_logits: bool = False) -> Objective:
        from huse_tf.losses.pairwise_sigmoid import PairwiseSigmoid

        term = PairwiseSigmoid(self.positives)
        return self.objective(spec, adjust_logits, {"contrast": term}, {"contrast": 1.0})
