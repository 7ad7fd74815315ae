"""Class-level cross-entropy over both modalities (HUSE, eq. 6 to 8)."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.rows import joint_logits, joint_weights, weighted_mean
from huse_tf.losses.term import Tensors


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy, -log p(label), as weighted mean over the rows.

    Args:
        logits: [n, K] float32, one row an embedding of either modality.
        labels: [n] int32 in [0, K).
        weights: [n] float32 >= 0.

    Returns:
        A scalar >= 0; 0 where all weights are 0.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return weighted_mean(losses, weights)


@dataclasses.dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Mean over the joint 2B embeddings of a batch; in eq. (8) N counts examples of both modalities.

    Attributes:
        logit_offsets: [K] float32 added to the logits here and nowhere else (`logit_adjustment`).
    """

    logit_offsets: np.ndarray | float = 0.0

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        logits = joint_logits(outputs) + self.logit_offsets
        return cross_entropy(logits, tf.tile(batch[keys.LABEL], [2]), joint_weights(batch))
