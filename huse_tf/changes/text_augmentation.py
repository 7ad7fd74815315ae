"""Random dropout of words or of text columns in training. A text never loses everything."""

from __future__ import annotations

import tensorflow as tf


def drop_tokens(ids: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Drops words. The remaining words keep their order and move to the left.

    Args:
        ids: [batch, tokens] int32 word ids; 0 is padding.
        rate: probability of dropping each word, in [0, 1]. At least one word stays.
        seed: [2] int seed of the draw.

    Returns:
        [batch, tokens] int32, padded with 0.
    """
    kept = tf.ragged.boolean_mask(ids, _keep(ids != 0, rate, seed))
    return tf.ensure_shape(kept.to_tensor(0, shape=tf.shape(ids)), ids.shape)


def drop_fields(fields: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Drops text columns.

    Args:
        fields: [batch, fields] string; "" is a missing column.
        rate: probability of dropping each column, in [0, 1]. At least one column stays.
        seed: [2] int seed of the draw.

    Returns:
        [batch, fields] string, "" for dropped columns.
    """
    return tf.where(_keep(fields != b"", rate, seed), fields, b"")


def _keep(present: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """[batch, n] bool with some True entries of `present` set to False; one per row stays True."""
    chance = tf.random.stateless_uniform(tf.shape(present), seed)
    best = tf.reduce_max(tf.where(present, chance, -1.0), axis=1, keepdims=True)
    return present & (chance >= tf.minimum(rate, best))
