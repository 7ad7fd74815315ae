"""Masked language model: which word pieces stood at the chosen places (FashionBERT, 3.2 (1))."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.alignment import pair_weights
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def masked_words(logits: tf.Tensor, pieces: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean, over all chosen pieces, of -log P(piece).

    Args:
        logits: [batch, m, vocabulary] float32.
        pieces: [batch, m] int32 ids to be guessed, padded with 0.
        weights: [batch] float32 >= 0 of the texts.

    Returns:
        A scalar >= 0; 0 where nothing of weight is chosen.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=pieces, logits=logits)
    counts = tf.cast(pieces > 0, tf.float32) * weights[:, tf.newaxis]
    return weighted_mean(losses, counts)


@dataclasses.dataclass(frozen=True)
class MaskedWords:
    """Over true pairs only: the image of another item does not help, or teaches wrong words."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        weights = pair_weights(batch) * batch[keys.MATCH]
        return masked_words(outputs[keys.WORD_LOGITS], batch[keys.HIDDEN_WORDS], weights)
