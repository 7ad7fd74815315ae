"""Triplets with semi-hard negatives found in the batch (FaceNet: Schroff et al. 2015, arXiv 1503.03832)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf.losses.pairs import Pairs, joint_pairs
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors

# Farther than any two unit vectors, whose squared distance is at most 4.
_NOWHERE = 8.0


def semi_hard_triplet(pairs: Pairs, margin: float) -> tf.Tensor:
    """Weighted mean over all positive pairs (a, p) of max(0, margin + d_ap - d_an).

    d is the squared Euclidean distance, 2 - 2 cos. The negative n is the nearest of those that are
    farther from the anchor than p: semi-hard if it is within the margin, and else without loss.
    Where no negative is farther than p, it is the farthest, the easiest of the hard ones (the rule
    of TensorFlow Addons). Pairs whose anchor has no negative do not count; pairs without loss do.

    Args:
        pairs: anchors are the queries.
        margin: FaceNet's alpha.

    Returns:
        A scalar >= 0; 0 where there is no triplet.
    """
    distances = 2.0 - 2.0 * pairs.similarities
    is_negative = pairs.negatives > 0
    # The negatives of each anchor from near to far, and nothing behind them.
    negatives = tf.sort(tf.where(is_negative, distances, _NOWHERE), axis=1)
    count = tf.reduce_sum(tf.cast(is_negative, tf.int32), axis=1, keepdims=True)
    first_farther = tf.searchsorted(negatives, distances, side="right")
    place = tf.maximum(tf.minimum(first_farther, count - 1), 0)
    hinges = tf.nn.relu(margin + distances - tf.gather(negatives, place, batch_dims=1))
    triplets = pairs.weights[:, tf.newaxis] * pairs.positives * tf.cast(count > 0, tf.float32)
    return weighted_mean(hinges, triplets)


@dataclasses.dataclass(frozen=True)
class SemiHardTriplet:
    """The loss over the joint 2B embeddings of a batch; positives share a class, of any modality.

    Attributes:
        margin: see `semi_hard_triplet`.
    """

    margin: float

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return semi_hard_triplet(joint_pairs(outputs, batch), self.margin)
