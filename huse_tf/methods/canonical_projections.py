"""Linear canonical correlation analysis in closed form (Hotelling 1936), with a ridge (Vinod 1976)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from huse_tf import keys
from huse_tf.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class CanonicalProjections:
    """Affine maps of two views, rows x @ kernel + bias, whose columns correlate pair by pair.

    Attributes:
        kernels: [dim, components] float32 of either view.
        biases: [components] float32 of either view.
        correlations: [components] in [0, 1], falling. With a ridge they are smaller than the correlations
            of the columns.
    """

    kernels: tuple[np.ndarray, np.ndarray]
    biases: tuple[np.ndarray, np.ndarray]
    correlations: np.ndarray


def complete_items(features: Mapping[str, np.ndarray], setting: str, dims: int) -> np.ndarray:
    """[n] bool: which training items have image and text.

    Raises:
        UserError: they are not more than `dims`, the value of `setting`: so few correlate fully.
    """
    complete = (features[keys.IMAGE_MASK] > 0) & (features[keys.TEXT_MASK] > 0)
    if complete.sum() <= dims:
        raise UserError(
            "Canonical correlation needs more training items with image and text than dimensions. "
            f"Expected more than --{setting}={dims}, or a lower --{setting}. Received: {complete.sum()}."
        )
    return complete


def canonical_projections(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    components: int,
    regularization: float,
    standardize: bool = True,
) -> CanonicalProjections:
    """The projections of the largest correlations, each of mean 0 and (but for the ridge) variance 1.

    Whitening and a singular value decomposition: with C_x = S_x + r I of the scaled views,
    C_x^-1/2 S_xy C_y^-1/2 = U diag(correlations) V^T, and the kernels are C_x^-1/2 U and C_y^-1/2 V.

    Args:
        x: [n, dim of x], row i of either view of one item.
        y: [n, dim of y].
        weights: [n] >= 0; an item of weight 2 counts like two equal items.
        components: at most the smaller dim.
        regularization: r >= 0, over the mean variance of a view's features. Above 0 unless both
            covariances are of full rank.
        standardize: whether features are divided by their standard deviation first. Without a ridge that
            changes nothing. With one, features that hardly vary count less where it is off.

    Examples:
        >>> import numpy as np
        >>> x = np.array([[0.0], [1.0], [2.0]])
        >>> y = np.array([[0.0], [-2.0], [-1.0]])
        >>> canonical_projections(x, y, np.ones(3), components=1, regularization=0.0).correlations
        array([0.5])
    """
    shares = weights / np.sum(weights)
    views = [_Scaled.of(np.asarray(view, np.float64), shares, standardize) for view in (x, y)]
    roots = [
        _inverse_root(view.rows.T @ (shares[:, None] * view.rows), regularization) for view in views
    ]
    cross = views[0].rows.T @ (shares[:, None] * views[1].rows)
    left, correlations, right = np.linalg.svd(roots[0] @ cross @ roots[1], full_matrices=False)
    kernels = [
        root @ directions[:, :components] / view.scale[:, None]
        for root, directions, view in zip(roots, (left, right.T), views, strict=True)
    ]
    biases = [-view.mean @ kernel for view, kernel in zip(views, kernels, strict=True)]
    return CanonicalProjections(
        (kernels[0].astype(np.float32), kernels[1].astype(np.float32)),
        (biases[0].astype(np.float32), biases[1].astype(np.float32)),
        correlations[:components],
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Scaled:
    """A view as rows [n, dim] of mean 0 and mean variance 1 = (view - mean) / scale."""

    rows: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, view: np.ndarray, shares: np.ndarray, standardize: bool) -> _Scaled:
        mean = shares @ view
        rows = view - mean
        scale = np.sqrt(shares @ rows**2)
        # A feature that hardly varies among these items would be blown up for others.
        nothing = scale <= 1e-6 * scale.max(initial=0.0)
        if not standardize:
            scale = np.full_like(scale, np.sqrt(np.mean(scale**2)))
        scale[nothing] = np.inf
        return cls(rows / scale, mean, scale)


def _inverse_root(covariance: np.ndarray, ridge: float) -> np.ndarray:
    """(covariance + ridge I)^-1/2, symmetric."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(values + ridge)) @ vectors.T
