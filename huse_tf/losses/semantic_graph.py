"""Semantic graph loss: pairwise distances imitate the distances of the classes (HUSE, eq. 9 to 11)."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.label_distances import label_distances, label_set_distances
from huse_tf.losses.rows import joint_embeddings, joint_weights, weighted_mean
from huse_tf.losses.term import Tensors

MarginRule = Literal["equation", "prose"]


def semantic_graph(
    embeddings: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    margin: float,
    margin_rule: MarginRule = "equation",
) -> tf.Tensor:
    """Squared difference of embedding distance and class distance, over all ordered pairs of rows.

    With d the cosine distance of two embeddings and A that of their classes, a pair adds
      * rule "equation", eq. (10): (d - A)^2 if A < margin and d < margin, else nothing;
      * rule "prose", as the paper's text describes it: (d - A)^2 if A < margin, else
        (margin - d)^2 if d < margin: far classes are pushed at least a margin apart.
    A pair weighs the product of its rows' weights, and the sum is divided by the weight of all
    pairs, whatever the number that take part: n^2 where all rows weigh 1 (eq. 11). Which rule a
    pair falls under is an indicator and carries no gradient.

    Args:
        embeddings: [n, D] float32 of unit norm; images and texts of a batch together.
        targets: [n, n] float32, A for each pair of rows, zero between rows of equal classes.
        weights: [n] float32 >= 0.
        margin: zeta > 0. Cosine distances lie in [0, 2]; a margin above 2 lets all pairs in (eq. 9).
        margin_rule: see above.

    Returns:
        A scalar >= 0; 0 where all weights are 0.
    """
    distances = 1.0 - tf.matmul(embeddings, embeddings, transpose_b=True)
    near = targets < margin
    close = distances < margin
    pull = tf.square(distances - targets)
    if margin_rule == "equation":
        pairs = tf.where(near & close, pull, 0.0)
    else:
        push = tf.where(close, tf.square(margin - distances), 0.0)
        pairs = tf.where(near, pull, push)
    return weighted_mean(pairs, weights[:, tf.newaxis] * weights)


@dataclasses.dataclass(frozen=True, eq=False)
class SemanticGraph:
    """The loss over the joint 2B embeddings: image-image, text-text and image-text pairs.

    Attributes:
        class_distances: [K, K] float32.
        margin, margin_rule: see `semantic_graph`.
        multi_label: whether items have several classes; their distance is `label_set_distances`.
    """

    class_distances: np.ndarray
    margin: float
    margin_rule: MarginRule = "equation"
    multi_label: bool = False

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        embeddings = joint_embeddings(outputs)
        class_distances = tf.constant(self.class_distances, embeddings.dtype)
        if self.multi_label:
            targets = label_set_distances(batch[keys.LABELS], class_distances)
        else:
            targets = label_distances(batch[keys.LABEL], class_distances)
        # An item's image and its text have the same classes.
        targets = tf.tile(targets, [2, 2])
        weights = joint_weights(batch)
        return semantic_graph(embeddings, targets, weights, self.margin, self.margin_rule)
