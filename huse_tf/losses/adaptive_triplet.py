"""All triplets of a batch, averaged over those that have a loss (AdaMine: Carvalho et al. 2018)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf.losses.pairs import Pairs, Positives, cross_modal_pairs
from huse_tf.losses.term import Tensors

# Farther than any two unit vectors, whose cosine distance is at most 2.
_NOWHERE = 4.0


def adaptive_triplet(pairs: Pairs, margin: float) -> tf.Tensor:
    """Sum of max(0, margin + d_qp - d_qn) over all triplets, divided by the weight of those above 0.

    d is the cosine distance. As training goes on fewer triplets violate the margin, and averaging
    over these alone keeps their gradient from fading: from the mean of all triplets to the hardest
    (arXiv 1804.11146, section 3.3). Both directions are under one mean.

    Sorted negatives and running sums give the sum over n for each pair (q, p) without a [Q, C, C]
    tensor: those nearer than margin + d_qp come first.

    Args:
        pairs: queries q, positives p, negatives n.
        margin: alpha.

    Returns:
        A scalar >= 0; 0 where no triplet is above 0.
    """
    distances = 1.0 - pairs.similarities
    from_near = tf.where(pairs.negatives > 0, distances, _NOWHERE)
    order = tf.argsort(from_near, axis=1)
    from_near = tf.gather(from_near, order, batch_dims=1)
    weights = tf.gather(pairs.negatives, order, batch_dims=1)
    reach = margin + distances
    violating = tf.searchsorted(from_near, reach)  # [Q, C], how many negatives are nearer
    weight = _sum_of_first(weights, violating)
    sums = tf.nn.relu(weight * reach - _sum_of_first(weights * from_near, violating))
    pair_weights = pairs.weights[:, tf.newaxis] * pairs.positives
    return tf.math.divide_no_nan(
        tf.reduce_sum(pair_weights * sums), tf.reduce_sum(pair_weights * weight)
    )


def _sum_of_first(values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """[Q, C]: sum of the first counts[q, c] of values[q]."""
    sums = tf.pad(tf.cumsum(values, axis=1), [[0, 0], [1, 0]])
    return tf.gather(sums, counts, batch_dims=1)


@dataclasses.dataclass(frozen=True)
class AdaptiveTriplet:
    """The loss over images as queries among texts and texts as queries among images.

    Attributes:
        margin: see `adaptive_triplet`.
        positives: "item" for the paper's instance level; "class" for its semantic level, where an
            item's own other half is no positive, as in the authors' code.
    """

    margin: float
    positives: Positives

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        pairs = cross_modal_pairs(outputs, batch, self.positives, own_half=self.positives == "item")
        return adaptive_triplet(pairs, self.margin)
