"""Regression of one-hot labels, the discrimination loss of DSCMR (Zhen et al. 2019, eq. 1: J1)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.error_norm import Normalization, error_norm
from huse_tf.losses.label_rows import joint_multi_hot, joint_projections
from huse_tf.losses.rows import joint_logits, joint_weights
from huse_tf.losses.term import Tensors

# Share of the representations' mean square that is added to each: a batch has fewer rows than
# dimensions, and without it fits any labels, so that nothing would be left to learn.
_RIDGE = 1.0


def ridge_classifier(rows: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The linear classifier P of least weighted squared error, with a ridge (DSCMR, algorithm 1).

    The paper prints P = (U U^T)^-1 U^T Y + (V V^T)^-1 V^T Y, whose shapes do not fit, and a sum of two
    solutions would predict twice the labels. It is taken for what eq. (1) asks of P, the least
    squares over images and texts together.

    Args:
        rows: [n, dim] float32, representations of both modalities.
        labels: [n, K] float32 multi-hot.
        weights: [n] float32 >= 0.

    Returns:
        [dim, K] float32, such that rows @ P is near the labels; zeros where all weights are 0.
    """
    shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))[:, tf.newaxis]
    moments = tf.matmul(rows, shares * rows, transpose_a=True)
    scale = tf.reduce_mean(tf.linalg.diag_part(moments))
    ridge = _RIDGE * scale + 1e-12  # rows that are all zero
    moments = tf.linalg.set_diag(moments, tf.linalg.diag_part(moments) + ridge)
    return tf.linalg.solve(moments, tf.matmul(rows, shares * labels, transpose_a=True))


@dataclasses.dataclass(frozen=True)
class OneHotRegression:
    """Norm of prediction minus label, of the images plus that of the texts.

    Attributes:
        num_classes: K.
        normalization: see `error_norm`.
        closed_form: whether predictions come from the batch's `ridge_classifier`, held fixed while
            the towers make their step, instead of the model's.
        scale, offset: the model's logits are its predictions times `scale`, plus `offset`.
    """

    num_classes: int
    normalization: Normalization = "code"
    closed_form: bool = False
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        labels, weights = joint_multi_hot(batch, self.num_classes), joint_weights(batch)
        if self.closed_form:
            rows = joint_projections(outputs)
            classifier = tf.stop_gradient(ridge_classifier(rows, labels, weights))
            predictions = tf.matmul(rows, classifier)
        else:
            predictions = (joint_logits(outputs) - self.offset) / self.scale
        errors = predictions - labels
        count = tf.shape(batch[keys.WEIGHT])[0]
        image, text = (
            error_norm(errors[rows], weights[rows], self.normalization)
            for rows in (slice(None, count), slice(count, None))
        )
        return image + text
