"""Sigmoid loss: each pair alone is right or wrong (SigLIP: Zhai et al. 2023, arXiv 2303.15343)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.pairs import Pairs, Positives, cross_modal_pairs
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def pairwise_sigmoid(pairs: Pairs, scale: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Mean over the queries of the sum over their candidates of -log sigmoid(z (scale s + bias)).

    z is 1 for positives and -1 for negatives, s the cosine. Where nothing is missing this is the
    paper's eq. (1), which divides the sum over all pairs by the number of images.

    Args:
        pairs: a candidate that is neither right nor wrong adds nothing.
        scale: scalar float32 > 0, exp(t') in the paper.
        bias: scalar float32.

    Returns:
        A scalar >= 0; 0 where there are no pairs.
    """
    logits = scale * pairs.similarities + bias
    right = pairs.positives * tf.math.softplus(-logits)
    wrong = pairs.negatives * tf.math.softplus(logits)
    return weighted_mean(tf.reduce_sum(right + wrong, axis=1), pairs.weights)


@dataclasses.dataclass(frozen=True)
class PairwiseSigmoid:
    """The loss over all images and texts of a batch.

    Attributes:
        positives: see `cross_modal_pairs`.
    """

    positives: Positives

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return pairwise_sigmoid(
            cross_modal_pairs(outputs, batch, self.positives),
            tf.reduce_mean(outputs[keys.LOGIT_SCALE]),
            tf.reduce_mean(outputs[keys.LOGIT_BIAS]),
        )
