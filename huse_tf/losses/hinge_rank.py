"""Hinge rank loss: a projection is nearer to its label's vector than to others' (DeViSE, eq. 1)."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.label_rows import joint_multi_hot, joint_projections
from huse_tf.losses.rows import joint_weights, weighted_mean
from huse_tf.losses.term import Tensors


def hinge_rank(
    scores: tf.Tensor,
    labels: tf.Tensor,
    negatives: tf.Tensor,
    weights: tf.Tensor,
    margin: float,
    order: tf.Tensor | None = None,
) -> tf.Tensor:
    """Weighted mean over the rows of sum over false labels j of max(0, margin - s_y + s_j).

    A row of several true labels y counts the mean over them of that sum; the paper has single ones.
    Memory is n * L * K, with L the largest number of true labels of a row.

    Args:
        scores: [n, K] float32, s_j = t_j . M v, products of label vectors and projections.
        labels: [n, K] float32 multi-hot, at least one true label a row.
        negatives: [K] float32, 1 for labels that may be false ones, else 0.
        weights: [n] float32 >= 0.
        margin: of the hinge.
        order: [n, K] float32; if given, false labels are gone through from its lowest to its highest
            entry, and the sum stops after the first of them that is above 0 (paper, section 3.2).

    Returns:
        A scalar >= 0; 0 where all weights are 0.
    """
    sizes = tf.reduce_sum(labels, axis=1)
    # The true labels of each row, in front of fillers where it has fewer than the largest set.
    is_true, true = tf.math.top_k(labels, tf.cast(tf.reduce_max(sizes), tf.int32))
    true_scores = tf.gather(scores, true, batch_dims=1)  # [n, L]
    hinges = tf.nn.relu(margin - true_scores[:, :, tf.newaxis] + scores[:, tf.newaxis, :])
    hinges *= ((1.0 - labels) * negatives)[:, tf.newaxis, :]
    if order is None:
        sums = tf.reduce_sum(hinges, axis=-1)
    else:
        # Where no hinge is above 0 any of them will do.
        places = tf.where(hinges > 0, order[:, tf.newaxis, :], np.inf)
        sums = tf.gather(hinges, tf.argmin(places, axis=-1), batch_dims=2)
    return weighted_mean(tf.reduce_sum(is_true * sums, axis=1) / sizes, weights)


@dataclasses.dataclass(frozen=True, eq=False)
class HingeRank:
    """The loss over the joint 2B projections of a batch.

    Attributes:
        label_vectors: [K, dim] float32 of unit norm.
        negatives: [K] float32, 1 for labels that have training items; only these are false labels.
        margin: of the hinge.
        first_violation: whether the sum stops after the first violation, in the batch's NEGATIVE_ORDER.
    """

    label_vectors: np.ndarray
    negatives: np.ndarray
    margin: float
    first_violation: bool

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return hinge_rank(
            tf.matmul(joint_projections(outputs), self.label_vectors, transpose_b=True),
            joint_multi_hot(batch, len(self.label_vectors)),
            tf.constant(self.negatives),
            joint_weights(batch),
            self.margin,
            tf.tile(batch[keys.NEGATIVE_ORDER], [2, 1]) if self.first_violation else None,
        )
