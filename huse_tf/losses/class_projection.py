"""Embeddings lie at their class's vector (HUSE, eq. 13; Barz and Denzler 2019, arXiv 1809.09924, eq. 7)."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from huse_tf.losses.label_rows import joint_multi_hot
from huse_tf.losses.rows import joint_embeddings, joint_weights, weighted_mean
from huse_tf.losses.term import Tensors


def class_projection(
    embeddings: tf.Tensor, class_vectors: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Weighted mean cosine distance to the class's vector, to the mean distance over several classes.

    Args:
        embeddings: [n, D] float32 of unit norm.
        class_vectors: [K, D] float32 of unit norm.
        labels: [n, K] float32 multi-hot, at least one class a row.
        weights: [n] float32 >= 0.

    Returns:
        A scalar in [0, 2]; 0 where all weights are 0.
    """
    shares = labels / tf.reduce_sum(labels, axis=1, keepdims=True)
    similarities = tf.matmul(embeddings, class_vectors, transpose_b=True)
    return weighted_mean(tf.reduce_sum(shares * (1.0 - similarities), axis=1), weights)


@dataclasses.dataclass(frozen=True, eq=False)
class ClassProjection:
    """Mean over the joint 2B embeddings of a batch: half the sum over both modalities of eq. (13).

    Attributes:
        class_vectors: [K, D] float32 of unit norm.
    """

    class_vectors: np.ndarray

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return class_projection(
            joint_embeddings(outputs),
            tf.constant(self.class_vectors),
            joint_multi_hot(batch, len(self.class_vectors)),
            joint_weights(batch),
        )
