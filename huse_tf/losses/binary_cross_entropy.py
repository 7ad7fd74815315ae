"""Cross-entropy of items with several classes: one yes-or-no question a class.

Not of the HUSE paper, whose items have one class each; it stands where its eq. (8) stands.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.rows import joint_logits, joint_weights, weighted_mean
from huse_tf.losses.term import Tensors


def binary_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sigmoid cross-entropy, summed over the classes of a row, as weighted mean over the rows.

    The sum is the negative log-likelihood of a row's label set when classes are independent.

    Args:
        logits: [n, K] float32, one row an embedding of either modality.
        labels: [n, K] float32, 1 for the classes of the row and 0 for the others.
        weights: [n] float32 >= 0.

    Returns:
        A scalar >= 0; 0 where all weights are 0.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return weighted_mean(tf.reduce_sum(losses, axis=1), weights)


@dataclasses.dataclass(frozen=True, eq=False)
class BinaryCrossEntropy:
    """Mean over the joint 2B embeddings of a batch.

    Attributes:
        logit_offsets: [K] float32 added to the logits here and nowhere else (`logit_adjustment`).
    """

    logit_offsets: np.ndarray | float = 0.0

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        logits = joint_logits(outputs) + self.logit_offsets
        labels = tf.tile(batch[keys.LABELS], [2, 1])
        return binary_cross_entropy(logits, labels, joint_weights(batch))
