"""Likelihood of pairs to share a class, between and within the modalities (DSCMR, eq. 2: J2)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.pairs import share_a_class
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def pair_likelihood(cosines: tf.Tensor, same: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood when a pair shares a class with probability sigmoid(cos / 2).

    Args:
        cosines: [n, m] float32.
        same: [n, m] float32, 1 where the pair shares a class and 0 where it does not.
        weights: [n, m] float32 >= 0.

    Returns:
        The weighted mean of log(1 + exp(cos / 2)) - same * cos / 2, in [0.47, 0.97]; 0 where all weights
        are 0.
    """
    halves = cosines / 2.0
    return weighted_mean(tf.nn.softplus(halves) - same * halves, weights)


@dataclasses.dataclass(frozen=True)
class PairLikelihood:
    """The sum over image-text, image-image and text-text pairs, each row with itself included.

    Items of several classes share a class where they have at least one in common.
    """

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        same = tf.cast(share_a_class(batch), tf.float32)
        image, text = outputs[keys.IMAGE_EMBEDDING], outputs[keys.TEXT_EMBEDDING]
        image_weights = batch[keys.WEIGHT] * batch[keys.IMAGE_MASK]
        text_weights = batch[keys.WEIGHT] * batch[keys.TEXT_MASK]
        return tf.add_n(
            [
                pair_likelihood(
                    tf.matmul(rows, columns, transpose_b=True),
                    same,
                    row_weights[:, tf.newaxis] * column_weights,
                )
                for rows, row_weights, columns, column_weights in (
                    (image, image_weights, text, text_weights),
                    (image, image_weights, image, image_weights),
                    (text, text_weights, text, text_weights),
                )
            ]
        )
