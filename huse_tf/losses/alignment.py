"""Text-image alignment: whether a text and an image are of one item (FashionBERT, 3.2 (3))."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def pair_weights(batch: Tensors) -> tf.Tensor:
    """[batch] float32: the item's weight, or 0 where it lacks the image or the text to be a pair."""
    return batch[keys.WEIGHT] * batch[keys.IMAGE_MASK] * batch[keys.TEXT_MASK]


def alignment(logits: tf.Tensor, match: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean binary cross-entropy.

    Args:
        logits: [batch] float32.
        match: [batch] float32, 1 for a true pair, 0 for another.
        weights: [batch] float32 >= 0.

    Returns:
        A scalar >= 0; 0 where all weights are 0.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=match, logits=logits)
    return weighted_mean(losses, weights)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Over the pairs of a batch, true ones and mismatched ones. Items without image or text do not count."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return alignment(outputs[keys.MATCH_LOGITS], batch[keys.MATCH], pair_weights(batch))
