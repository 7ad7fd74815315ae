"""The joint 2B rows of a batch, first all images, then all texts, and weighted means over them.

A row counts with the weight of its item, and the row of a missing image or text not at all. So every
mean is over present rows, an item of weight 2 counts like two equal items, and where nothing is
missing and all weights are 1, each mean is the plain one that the papers write.
"""

from __future__ import annotations

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import Tensors


def joint_embeddings(outputs: Tensors) -> tf.Tensor:
    """[2B, D] float32 of unit norm."""
    return tf.concat([outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]], axis=0)


def joint_logits(outputs: Tensors) -> tf.Tensor:
    """[2B, K] float32."""
    return tf.concat([outputs[keys.IMAGE_LOGITS], outputs[keys.TEXT_LOGITS]], axis=0)


def joint_weights(batch: Tensors) -> tf.Tensor:
    """[2B] float32: the item's weight, or 0 where its image or text is missing."""
    image = batch[keys.WEIGHT] * batch[keys.IMAGE_MASK]
    text = batch[keys.WEIGHT] * batch[keys.TEXT_MASK]
    return tf.concat([image, text], axis=0)


def weighted_mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """sum(weights * values) / sum(weights), or 0 where all weights are 0.

    Args:
        values: float32 of any shape, finite also where the weight is 0.
        weights: float32 >= 0 of the same shape.

    Returns:
        A scalar. Its gradient is exactly 0 in values of weight 0.
    """
    return tf.math.divide_no_nan(tf.reduce_sum(weights * values), tf.reduce_sum(weights))
