"""The joint 2B rows of a batch in the space of label vectors, images first and texts behind them."""

from __future__ import annotations

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import Tensors


def joint_projections(outputs: Tensors) -> tf.Tensor:
    """[2B, dim] float32, not normalised."""
    return tf.concat([outputs[keys.IMAGE_PROJECTION], outputs[keys.TEXT_PROJECTION]], axis=0)


def joint_multi_hot(batch: Tensors, num_classes: int) -> tf.Tensor:
    """[2B, K] float32 multi-hot, one-hot where items have one class."""
    labels = batch.get(keys.LABELS)
    if labels is None:
        labels = tf.one_hot(batch[keys.LABEL], num_classes)
    return tf.tile(labels, [2, 1])
