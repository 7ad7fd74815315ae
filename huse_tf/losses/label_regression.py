"""Squared distance to the label's vector, the loss that DeViSE was compared with (its section 3.2)."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from huse_tf.losses.label_rows import joint_multi_hot, joint_projections
from huse_tf.losses.rows import joint_weights, weighted_mean
from huse_tf.losses.term import Tensors


def label_regression(
    projections: tf.Tensor, label_vectors: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Weighted mean over the rows of |M v - t_y|^2, of its mean over y where a row has several.

    Args:
        projections: [n, dim] float32, M v, not normalised.
        label_vectors: [K, dim] float32 of unit norm.
        labels: [n, K] float32 multi-hot, at least one true label a row.
        weights: [n] float32 >= 0.

    Returns:
        A scalar >= 0; 0 where all weights are 0.
    """
    shares = labels / tf.reduce_sum(labels, axis=1, keepdims=True)
    centres = tf.matmul(shares, label_vectors)
    # mean |p - t|^2 = |p - c|^2 + mean |t - c|^2, and the latter is 1 - |c|^2 for unit vectors t.
    spread = tf.nn.relu(1.0 - tf.reduce_sum(centres**2, axis=1))
    losses = tf.reduce_sum((projections - centres) ** 2, axis=1) + spread
    return weighted_mean(losses, weights)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelRegression:
    """The loss over the joint 2B projections of a batch.

    Attributes:
        label_vectors: [K, dim] float32 of unit norm.
    """

    label_vectors: np.ndarray

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return label_regression(
            joint_projections(outputs),
            tf.constant(self.label_vectors),
            joint_multi_hot(batch, len(self.label_vectors)),
            joint_weights(batch),
        )
