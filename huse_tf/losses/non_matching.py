"""Non-matching images and texts are not alike (Salvador et al. 2017, CVPR, eq. 3, its second case)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf.losses.pairs import Pairs, cross_modal_pairs
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def non_matching(pairs: Pairs, margin: float) -> tf.Tensor:
    """Weighted mean over all negatives of max(0, cos - margin).

    Args:
        pairs: their positives are not read.
        margin: alpha, a cosine in [-1, 1] up to which a pair is left alone.

    Returns:
        A scalar >= 0; 0 where there are no negatives.
    """
    hinges = tf.nn.relu(pairs.similarities - margin)
    return weighted_mean(hinges, pairs.weights[:, tf.newaxis] * pairs.negatives)


@dataclasses.dataclass(frozen=True)
class NonMatching:
    """The loss over all images and texts of different products in a batch.

    Attributes:
        margin: see `non_matching`.
    """

    margin: float

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return non_matching(cross_modal_pairs(outputs, batch, "item"), self.margin)
