"""Adaptive weights of the terms of an objective (FashionBERT, Gao et al. 2020, 3.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from huse_tf.losses.objective import SquaredGradient


def closed_form(squares: tf.Tensor) -> tf.Tensor:
    """Eq. (6): w_i = (L - g_i)^-1 / sum_k (L - g_k)^-1.

    They minimise eq. (5), -1/2 sum_i g_i w_i^2 + 1/2 sum_{i<j} (w_i - w_j)^2, where the weights add up
    to 1: the second sum, over pairs taken once, draws them together, the first towards large g.

    Args:
        squares: [L] float32, the g_i = |grad l_i|^2, scaled into [0, 1]; L > 1.

    Returns:
        [L] float32 > 0, sum 1; 1 / L each at equal g_i. Where the g_i add up to 1 at most, three
        weights lie from 2/7 to 3/7.
    """
    inverse = 1.0 / (squares.shape[0] - squares)
    return inverse / tf.reduce_sum(inverse)


@dataclasses.dataclass(frozen=True)
class GradientWeights:
    """As the paper has it. The squared norms are divided by their sum, to lie in [0, 1].

    The paper wants them there and does not say how; so divided, the size of the network does not
    matter. Constants for the step: no gradient passes the weights. A pass back for each term.
    """

    def __call__(
        self, losses: Mapping[str, tf.Tensor], squared_gradient: SquaredGradient
    ) -> dict[str, tf.Tensor]:
        squares = tf.stack([squared_gradient(loss) for loss in losses.values()])
        shares = tf.math.divide_no_nan(squares, tf.reduce_sum(squares))
        return _named(losses, closed_form(shares))


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """As the released code has it: softmax(losses)^2 in place of the squared norms.

    Attributes:
        stop_gradient: whether the weights are constants for the step. They are not in that code, so
            that a term is also reduced for the sake of its weight.
    """

    stop_gradient: bool

    def __call__(
        self, losses: Mapping[str, tf.Tensor], squared_gradient: SquaredGradient
    ) -> dict[str, tf.Tensor]:
        weights = closed_form(tf.nn.softmax(tf.stack(list(losses.values()))) ** 2)
        return _named(losses, tf.stop_gradient(weights) if self.stop_gradient else weights)


def _named(losses: Mapping[str, tf.Tensor], weights: tf.Tensor) -> dict[str, tf.Tensor]:
    return dict(zip(losses, tf.unstack(weights), strict=True))
