"""Max of hinges: an item against its hardest negative (VSE++: Faghri et al. 2018, arXiv 1707.05612)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf.losses.pairs import Pairs, cross_modal_pairs, mean_over_positives
from huse_tf.losses.term import Tensors


def hardest_negative(pairs: Pairs, margin: float) -> tf.Tensor:
    """Mean over the queries of max over n of max(0, margin + s_qn - s_qp) (eq. 6), s the cosine.

    Args:
        pairs: queries q, positives p, negatives n.
        margin: alpha.

    Returns:
        A scalar >= 0; 0 where there is no triplet.
    """
    similarities = tf.where(pairs.negatives > 0, pairs.similarities, float("-inf"))
    hardest = tf.reduce_max(similarities, axis=1, keepdims=True)
    return mean_over_positives(tf.nn.relu(margin + hardest - pairs.similarities), pairs)


@dataclasses.dataclass(frozen=True)
class HardestNegative:
    """The loss over images as queries among texts and texts as queries among images.

    Attributes:
        margin: see `hardest_negative`.
    """

    margin: float

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return hardest_negative(cross_modal_pairs(outputs, batch, "item"), self.margin)
