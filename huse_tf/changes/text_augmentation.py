"""Random loss of words or of whole fields of a text while training; a text never loses everything."""

from __future__ import annotations

import tensorflow as tf


def drop_tokens(ids: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Leaves out words; those that stay keep their order and move to the left.

    Args:
        ids: [batch, tokens] int32, word ids; 0 is padding.
        rate: in [0, 1], the chance of each word to go. Where all would, one stays.
        seed: [2] int, decides which.

    Returns:
        [batch, tokens] int32, padded with 0.
    """
    kept = tf.ragged.boolean_mask(ids, _keep(ids != 0, rate, seed))
    return tf.ensure_shape(kept.to_tensor(0, shape=tf.shape(ids)), ids.shape)


def drop_fields(fields: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Empties fields.

    Args:
        fields: [batch, fields] string; "" is a field that the item lacks.
        rate: in [0, 1], the chance of each field to go. Where all would, one stays.
        seed: [2] int, decides which.

    Returns:
        [batch, fields] string, "" in place of what went.
    """
    return tf.where(_keep(fields != b"", rate, seed), fields, b"")


def _keep(present: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """[batch, n] bool -> the same, fewer of them; in each row at least one if there was one."""
    chance = tf.random.stateless_uniform(tf.shape(present), seed)
    best = tf.reduce_max(tf.where(present, chance, -1.0), axis=1, keepdims=True)
    return present & (chance >= tf.minimum(rate, best))
