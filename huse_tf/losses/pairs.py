"""Who is compared with whom in a batch: queries, their candidates, and which of these are right.

Weights are laid out such that an item of weight 2 counts like two equal items: a query by its own
weight, a candidate by its own, and a missing image or text not at all. Items of one product are
never each other's negatives, nor are items of one title: the title fits both images, so calling the pair
wrong would be a false label. The published losses have no such rule.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.rows import joint_embeddings, joint_weights, weighted_mean
from huse_tf.losses.term import Tensors

Positives = Literal["item", "product", "class"]


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """Q queries and their C candidates.

    Attributes:
        similarities: [Q, C] float32 in [-1, 1], cosines.
        positives: [Q, C] float32 >= 0, the weight of a candidate that is right for the query, else 0.
        negatives: [Q, C] float32 >= 0, the weight of a wrong candidate, else 0; a candidate may be neither.
        weights: [Q] float32 >= 0, of the queries.
    """

    similarities: tf.Tensor
    positives: tf.Tensor
    negatives: tf.Tensor
    weights: tf.Tensor


def cross_modal_pairs(
    outputs: Tensors, batch: Tensors, positives: Positives, own_half: bool = True
) -> Pairs:
    """Each image among all texts of a batch, then each text among all images: Q = 2B, C = B.

    Args:
        outputs, batch: keys and shapes in keys.py; `batch` with PRODUCT and TITLE.
        positives: which candidates are right. "item": the query's own other half;
            "product": it is of the query's product; "class": it shares at least one class with it.
            All others are negatives, except those of the query's product or title.
        own_half: whether a query's own other half is right. If not, those of the copies that a
            weight above 1 stands for are.
    """
    similarities = tf.matmul(
        outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING], transpose_b=True
    )
    weights = joint_weights(batch)
    images, texts = tf.split(weights, 2)
    count = tf.size(images)
    candidates = tf.repeat(tf.stack([texts, images]), count, axis=0)
    right, wrong = (tf.tile(each, [2, 1]) for each in _right_and_wrong(batch, positives))
    right_weights = right * candidates
    if positives == "item":
        # One candidate, whatever the item's weight: a copy has another half of its own.
        right_weights = tf.sign(right_weights)
    elif not own_half:
        own = tf.tile(tf.eye(count, dtype=tf.bool), [2, 1])
        right_weights = tf.where(own, tf.nn.relu(right_weights - 1.0), right_weights)
    return Pairs(
        tf.concat([similarities, tf.transpose(similarities)], axis=0),
        right_weights,
        wrong * candidates,
        weights,
    )


def joint_pairs(outputs: Tensors, batch: Tensors) -> Pairs:
    """Each of the joint 2B embeddings among all of them, right if they share a class: Q = C = 2B.

    An embedding is no positive of itself, but of the copies that a weight above 1 stands for.
    """
    embeddings = joint_embeddings(outputs)
    weights = joint_weights(batch)
    right, wrong = (tf.tile(each, [2, 2]) for each in _right_and_wrong(batch, "class"))
    return Pairs(
        tf.matmul(embeddings, embeddings, transpose_b=True),
        tf.linalg.set_diag(right * weights, tf.nn.relu(weights - 1.0)),
        wrong * weights,
        weights,
    )


def mean_over_positives(losses: tf.Tensor, pairs: Pairs) -> tf.Tensor:
    """Mean over the queries that have a positive of the mean over their positives.

    Args:
        losses: [Q, C] float32, finite everywhere.

    Returns:
        A scalar; 0 where no query has a positive.
    """
    totals = tf.reduce_sum(pairs.positives, axis=1)
    means = tf.math.divide_no_nan(tf.reduce_sum(pairs.positives * losses, axis=1), totals)
    return weighted_mean(means, pairs.weights * tf.sign(totals))


def _right_and_wrong(batch: Tensors, positives: Positives) -> tuple[tf.Tensor, tf.Tensor]:
    """Two [B, B] float32 of zeros and ones, symmetric."""
    same_product = _equal(batch[keys.PRODUCT])
    if positives == "item":
        right = tf.eye(tf.size(batch[keys.PRODUCT]), dtype=tf.bool)
    elif positives == "product":
        right = same_product
    else:
        right = share_a_class(batch)
    wrong = tf.logical_not(right | same_product | _equal(batch[keys.TITLE]))
    return tf.cast(right, tf.float32), tf.cast(wrong, tf.float32)


def share_a_class(batch: Tensors) -> tf.Tensor:
    """[B, B] bool: which two items have a class in common."""
    labels = batch.get(keys.LABELS)
    if labels is None:
        return _equal(batch[keys.LABEL])
    return tf.matmul(labels, labels, transpose_b=True) > 0


def _equal(ids: tf.Tensor) -> tf.Tensor:
    return ids[:, tf.newaxis] == ids
