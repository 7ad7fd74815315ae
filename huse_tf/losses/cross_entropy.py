"""Class-level cross-entropy over both modalities (HUSE, eq. 6 to 8)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import Tensors


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy, -log p(label), averaged over the rows.

    Args:
        logits: [n, K] float32, one row an embedding of either modality.
        labels: [n] int32 in [0, K).

    Returns:
        A scalar >= 0.
    """
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """Mean over the joint 2B embeddings of a batch; in eq. (8) N counts examples of both modalities."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        logits = tf.concat([outputs[keys.IMAGE_LOGITS], outputs[keys.TEXT_LOGITS]], axis=0)
        return cross_entropy(logits, tf.tile(batch[keys.LABEL], [2]))
