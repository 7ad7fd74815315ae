"""Total correlation of two views, the objective of deep CCA (Andrew et al. 2013, section 3)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.losses.term import Tensors

# Singular values below this are rounding; their vectors, and so their gradients, mean nothing.
_NOTHING = 1e-6


def canonical_correlation(
    x: tf.Tensor, y: tf.Tensor, weights: tf.Tensor, regularization: float
) -> tf.Tensor:
    """D minus the sum of the D canonical correlations: the paper's objective, moved up to be >= 0.

    The sum is that of the singular values of T = (S_x + r_x I)^-1/2 S_xy (S_y + r_y I)^-1/2, and its
    gradient in T is U V^T for T = U diag(s) V^T (Andrew et al. 2013, eq. 10 to 13). That is written
    out here, for the gradient of a whole SVD is infinite where two correlations are equal.

    Args:
        x, y: [n, D] float32, row i of either of one item.
        weights: [n] float32 >= 0.
        regularization: r_x over the mean variance of x, and r_y over that of y, > 0.

    Returns:
        A scalar in [0, D]; D where all weights are 0.
    """
    # Whitening divides by small eigenvalues: float32 would leave four digits of the gradient.
    x, y, weights = (tf.cast(each, tf.float64) for each in (x, y, weights))
    shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))[:, tf.newaxis]
    x, y = (_whitened(rows, shares, regularization) for rows in (x, y))
    cross = tf.matmul(x, shares * y, transpose_a=True)
    correlations, left, right = tf.linalg.svd(tf.stop_gradient(cross))
    left = tf.where(correlations > _NOTHING, left, tf.zeros_like(left))
    total = tf.reduce_sum(tf.matmul(left, right, transpose_b=True) * cross)
    return tf.cast(tf.cast(tf.size(correlations), total.dtype) - total, tf.float32)


def _whitened(rows: tf.Tensor, shares: tf.Tensor, regularization: float) -> tf.Tensor:
    """[n, D] centred rows of covariance near I, turned in some way that singular values do not see."""
    rows -= tf.reduce_sum(shares * rows, axis=0)
    covariance = tf.matmul(rows, shares * rows, transpose_a=True)
    variances = tf.linalg.diag_part(covariance)
    ridge = regularization * tf.reduce_mean(variances) + 1e-12  # for rows that are all alike
    covariance = tf.linalg.set_diag(covariance, variances + ridge)
    triangle = tf.linalg.cholesky(covariance)
    return tf.transpose(tf.linalg.triangular_solve(triangle, tf.transpose(rows)))


@dataclasses.dataclass(frozen=True)
class CanonicalCorrelation:
    """The loss of the towers' outputs over the items that have both modalities.

    Attributes:
        regularization: see `canonical_correlation`.

    Raises:
        UserError: a batch has no more items than dimensions; any two views of it correlate fully.
    """

    regularization: float

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        x, y = outputs[keys.IMAGE_REPRESENTATION], outputs[keys.TEXT_REPRESENTATION]
        items, dim = x.shape
        if items is not None and items <= dim:
            raise UserError(
                "Correlations need more items in a batch than there are dimensions. Expected a "
                f"--batch_size above --embedding_dim, {dim}. Received: {items} items."
            )
        weights = batch[keys.WEIGHT] * batch[keys.IMAGE_MASK] * batch[keys.TEXT_MASK]
        return canonical_correlation(x, y, weights, self.regularization)
