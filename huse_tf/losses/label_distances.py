"""How far apart the classes of each two items of a batch are, for one class an item and for several."""

from __future__ import annotations

import tensorflow as tf


def label_distances(labels: tf.Tensor, class_distances: tf.Tensor) -> tf.Tensor:
    """A[i's class, j's class] for all pairs of items.

    Args:
        labels: [n] int32 in [0, K).
        class_distances: [K, K] float32, A of the HUSE paper (eq. 4).

    Returns:
        [n, n] float32.
    """
    return tf.gather(tf.gather(class_distances, labels), labels, axis=1)


def label_set_distances(labels: tf.Tensor, class_distances: tf.Tensor) -> tf.Tensor:
    """Average distance of each class to the nearest class of the other item, both ways.

    For label sets S and T,
        d(S, T) = 1/2 (mean over s in S of min over t in T of A[s, t]
                     + mean over t in T of min over s in S of A[s, t]),
    the symmetric best-match average. It is 0 for equal sets and A[s, t] for single classes; the
    HUSE paper has no label sets.

    Memory is n * L * K, with L the largest number of classes of an item in the batch.

    Args:
        labels: [n, K] float32 multi-hot, at least one class a row.
        class_distances: [K, K] float32, symmetric.

    Returns:
        [n, n] float32, symmetric.
    """
    sizes = tf.reduce_sum(labels, axis=1, keepdims=True)
    # The classes of each item, in front of fillers where it has fewer than the largest set.
    most = tf.cast(tf.reduce_max(sizes), tf.int32)
    is_class, classes = tf.math.top_k(labels, most)
    to_classes = tf.gather(class_distances, classes)  # [n, L, K]
    far = tf.reduce_max(class_distances)
    nearest = tf.reduce_min(tf.where(is_class[:, :, tf.newaxis] > 0, to_classes, far), axis=1)
    # [i, j]: mean over the classes t of item j of the distance to the nearest class of item i.
    one_way = tf.matmul(nearest, labels / sizes, transpose_b=True)
    return (one_way + tf.transpose(one_way)) / 2.0
