"""The learned temperature of CLIP (Radford et al. 2021, arXiv 2103.00020, section 2.5)."""

from __future__ import annotations

import math

import keras

from huse_tf.heads.variables import on_every_row, trainable_row

_LARGEST = 100.0  # the paper's bound, without which training may become unstable


def logit_scale(temperature: float, like: keras.KerasTensor) -> keras.KerasTensor:
    """[batch, 1] float32 in (0, 100]: one over the temperature, learned, the same in every row.

    Args:
        temperature: at the start.
        like: any tensor [batch, dim] of the graph.
    """
    start = keras.initializers.Constant(-math.log(temperature))
    scale = keras.ops.exp(trainable_row(1, like, "log_scale", start))
    # The gradient ignores the bound, so that a scale beyond it can come back.
    excess = keras.ops.stop_gradient(keras.ops.maximum(scale - _LARGEST, 0.0))
    return on_every_row(scale - excess, like)
