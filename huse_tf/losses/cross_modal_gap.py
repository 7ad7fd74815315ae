"""Cross-modal gap: an item's image and text lie at the same place (HUSE, eq. 12)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.rows import weighted_mean
from huse_tf.losses.term import Tensors


def cross_modal_gap(
    image_embeddings: tf.Tensor, text_embeddings: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Weighted mean cosine distance of paired embeddings.

    Args:
        image_embeddings: [batch, D] float32, unit norm.
        text_embeddings: [batch, D] float32, unit norm; row i belongs to image i.
        weights: [batch] float32 >= 0.

    Returns:
        A scalar in [0, 2]; 0 where all weights are 0.
    """
    distances = 1.0 - tf.reduce_sum(image_embeddings * text_embeddings, axis=-1)
    return weighted_mean(distances, weights)


@dataclasses.dataclass(frozen=True)
class CrossModalGap:
    """The gap over the true pairs of a batch; there are no negatives, and half a pair is none."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        complete = batch[keys.IMAGE_MASK] * batch[keys.TEXT_MASK]
        return cross_modal_gap(
            outputs[keys.IMAGE_EMBEDDING],
            outputs[keys.TEXT_EMBEDDING],
            batch[keys.WEIGHT] * complete,
        )
