"""Masked patches: the features of hidden patches, guessed (FashionBERT, 3.2 (2))."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.alignment import pair_weights
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def masked_patches(
    logits: tf.Tensor, places: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Weighted mean, over hidden patches, of KL(softmax(target) || softmax(logits)).

    The paper says "the KL divergence of two distributions"; which is first, and that both are
    softmaxes, is the released code's.

    Args:
        logits: [batch, patches, dim] float32.
        places: [batch, h] int32, the hidden patches.
        targets: [batch, h, dim] float32, their features.
        weights: [batch] float32 >= 0 of the images.

    Returns:
        A scalar >= 0, in nats; 0 where all weights are 0.
    """
    predicted = tf.nn.log_softmax(tf.gather(logits, places, batch_dims=1))
    wanted = tf.nn.log_softmax(targets)
    # Not below 0, where rounding would have it.
    divergences = tf.nn.relu(tf.reduce_sum(tf.exp(wanted) * (wanted - predicted), axis=-1))
    return weighted_mean(divergences, tf.ones_like(divergences) * weights[:, tf.newaxis])


@dataclasses.dataclass(frozen=True)
class MaskedPatches:
    """Over true pairs only, as for words: the text of another item says nothing about an image."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        weights = pair_weights(batch) * batch[keys.MATCH]
        return masked_patches(
            outputs[keys.PATCH_LOGITS],
            batch[keys.HIDDEN_PATCHES],
            batch[keys.PATCH_TARGETS],
            weights,
        )
