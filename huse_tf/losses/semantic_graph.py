"""Semantic graph loss: pairwise distances imitate the distances of the classes (HUSE, eq. 9 to 11)."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import Tensors

MarginRule = Literal["equation", "prose"]


def semantic_graph(
    embeddings: tf.Tensor,
    labels: tf.Tensor,
    class_distances: tf.Tensor,
    margin: float,
    margin_rule: MarginRule = "equation",
) -> tf.Tensor:
    """Squared difference of embedding distance and class distance, over all ordered pairs of rows.

    With d the cosine distance of two embeddings and A that of their classes, a pair adds
      * rule "equation", eq. (10): (d - A)^2 if A < margin and d < margin, else nothing;
      * rule "prose", what the paper's text describes: (d - A)^2 if A < margin, else
        (margin - d)^2 if d < margin: far classes are pushed at least a margin apart.
    The sum is divided by n^2, whatever the number of pairs that take part (eq. 11). Which rule a
    pair falls under is an indicator and carries no gradient.

    Args:
        embeddings: [n, D] float32 of unit norm; images and texts of a batch together.
        labels: [n] int32 in [0, K).
        class_distances: [K, K] float32 cosine distances, zero on the diagonal.
        margin: zeta > 0. Cosine distances lie in [0, 2]; a margin above 2 lets all pairs in (eq. 9).
        margin_rule: see above.

    Returns:
        A scalar >= 0.
    """
    distances = 1.0 - tf.matmul(embeddings, embeddings, transpose_b=True)
    targets = tf.gather(tf.gather(class_distances, labels), labels, axis=1)
    near = targets < margin
    close = distances < margin
    pull = tf.square(distances - targets)
    if margin_rule == "equation":
        pairs = tf.where(near & close, pull, 0.0)
    else:
        push = tf.where(close, tf.square(margin - distances), 0.0)
        pairs = tf.where(near, pull, push)
    return tf.reduce_mean(pairs)


@dataclasses.dataclass(frozen=True, eq=False)
class SemanticGraph:
    """The loss over the joint 2B embeddings: image-image, text-text and image-text pairs."""

    class_distances: np.ndarray
    margin: float
    margin_rule: MarginRule = "equation"

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        embeddings = tf.concat(
            [outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]], axis=0
        )
        return semantic_graph(
            embeddings,
            tf.tile(batch[keys.LABEL], [2]),
            tf.constant(self.class_distances, embeddings.dtype),
            self.margin,
            self.margin_rule,
        )
