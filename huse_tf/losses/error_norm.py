"""How large errors are on average, as the DSCMR paper has it and as its authors' code does."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from huse_tf.losses.rows import weighted_mean

Normalization = Literal["code", "paper"]


def error_norm(
    errors: tf.Tensor, weights: tf.Tensor, normalization: Normalization = "code"
) -> tf.Tensor:
    """The mean length of the rows ("code"), or the Frobenius norm over the number of rows ("paper").

    The paper's shrinks as 1 / sqrt(n) with the batch, the code's does not. A row of weight 2 counts
    like two equal rows in both.

    Args:
        errors: [n, dim] float32.
        weights: [n] float32 >= 0.
        normalization: which of the two.

    Returns:
        A scalar >= 0; 0 where all weights are 0. Its gradient is 0 where a length is 0.
    """
    squares = tf.reduce_sum(tf.square(errors), axis=1)
    if normalization == "code":
        return weighted_mean(_root(squares), weights)
    return tf.math.divide_no_nan(_root(tf.reduce_sum(weights * squares)), tf.reduce_sum(weights))


def _root(values: tf.Tensor) -> tf.Tensor:
    """Square root with gradient 0 at 0, where that of `tf.sqrt` is infinite."""
    positive = values > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, values, 1.0)), 0.0)
