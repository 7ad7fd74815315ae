"""InfoNCE: a query finds its positive among the batch (CLIP: Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.pairs import Pairs, Positives, cross_modal_pairs, mean_over_positives
from huse_tf.losses.term import Tensors

# Stands for -inf, with which differences would not be finite.
_NEVER = -1e9


def info_nce(pairs: Pairs, scale: tf.Tensor) -> tf.Tensor:
    """Mean over the queries of the mean over their positives of -log p.

    p = exp(scale s_qp) / (exp(scale s_qp) + sum over the negatives n of exp(scale s_qn)), s the
    cosine. With one positive a query this is CLIP's loss, the mean of both directions. With several
    it is the mean of log-probabilities of supervised contrastive learning (Khosla et al. 2020, arXiv
    2004.11362, L_out), but a positive competes with negatives alone: there the other positives are
    in the sum too, so that the nearest are pushed away, and L_out stays above the log of their
    number.

    Args:
        pairs: queries q, positives p, negatives n.
        scale: scalar float32 > 0, one over the temperature.

    Returns:
        A scalar >= 0; 0 where there are no positives or no negatives.
    """
    scores = scale * pairs.similarities
    is_negative = pairs.negatives > 0
    copies = tf.math.log(tf.where(is_negative, pairs.negatives, 1.0))
    against = tf.reduce_logsumexp(
        tf.where(is_negative, scores + copies, _NEVER), axis=1, keepdims=True
    )
    return mean_over_positives(tf.math.softplus(against - scores), pairs)


@dataclasses.dataclass(frozen=True)
class InfoNce:
    """The loss over images as queries among texts and texts as queries among images.

    Attributes:
        positives: see `cross_modal_pairs`.
        temperature: of the scores; None for models that learn theirs and give out LOGIT_SCALE.
    """

    positives: Positives
    temperature: float | None = None

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        pairs = cross_modal_pairs(outputs, batch, self.positives)
        if self.temperature is None:
            return info_nce(pairs, tf.reduce_mean(outputs[keys.LOGIT_SCALE]))
        return info_nce(pairs, tf.constant(1.0 / self.temperature))
