"""A loss: the angle between an item's image and its text."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses import Tensors, weighted_mean


def angle_gap(image: tf.Tensor, text: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean angle of n pairs of unit vectors, over pi.

    Args:
        image: [n, D] float32, rows of unit norm.
        text: [n, D] float32, rows of unit norm.
        weights: [n] float32 >= 0.

    Returns:
        A scalar in [0, 1]; 0 where all weights are 0.
    """
    cosines = tf.reduce_sum(image * text, axis=1)
    # Inside (-1, 1), where the gradient of the arc cosine is finite.
    angles = tf.acos(tf.clip_by_value(cosines, -1 + 1e-6, 1 - 1e-6))
    return weighted_mean(angles / 3.14159265, weights)


@dataclasses.dataclass(frozen=True)
class AngleGap:
    """The loss over the items of a batch that have both an image and a text."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        both = batch[keys.WEIGHT] * batch[keys.IMAGE_MASK] * batch[keys.TEXT_MASK]
        return angle_gap(outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING], both)
