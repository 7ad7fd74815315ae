"""The penalty that makes modalities compete (multiple neural learning, arXiv 2405.04671)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import Tensors


def block_penalty(norms: tf.Tensor, p: float) -> tf.Tensor:
    """R_p = (sum_m n_m^q)^(2/q) with q = 2p / (p + 1).

    It is the least of sum_m n_m^2 / theta_m over theta >= 0 of p-norm at most 1. For p = 1 it is
    (sum_m n_m)^2, and needless blocks vanish; for p -> infinity it is sum_m n_m^2.

    Args:
        norms: [M] float32 > 0, Frobenius norm of each modality's block, for features of length 1.
        p: >= 1.

    Returns:
        A scalar > 0.
    """
    q = 2.0 * p / (p + 1.0)
    return tf.reduce_sum(norms**q) ** (2.0 / q)


@dataclasses.dataclass(frozen=True)
class BlockPenalty:
    """R_p of the model's blocks, whose norms are the same in every row of a batch."""

    p: float

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return block_penalty(tf.reduce_mean(outputs[keys.BLOCK_NORMS], axis=0), self.p)
