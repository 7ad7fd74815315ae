"""Logistic regression on fixed vectors, for classifiers that are solved for.

The minimum is that of scikit-learn's `LogisticRegression(solver="lbfgs")` (a test compares them). SciPy's
L-BFGS finds it here in float32 and from a given start, which takes a fraction of the time on a grid of C.
"""

from __future__ import annotations

import numpy as np
import scipy.optimize
import scipy.special

NEVER = -30.0  # logit of a class that no row has
_FLAT = 1e-5  # largest entry of the gradient at the end; scikit-learn stops at ten times as much, short of the minimum


def logistic_regression(
    rows: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    num_classes: int,
    c: float,
    most_steps: int,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias of the class scores rows @ kernel + bias.

    The loss is the sum of the weighted cross-entropies, times C, plus half the square of the kernel.

    Args:
        rows: [n, D] vectors.
        labels: [n] int labels, for a softmax; or [n, K] multi-hot, for a sigmoid a class.
        weights: [n] > 0; a row of weight 2 counts like two equal rows.
        num_classes: K.
        c: scikit-learn's C > 0; the larger, the weaker the penalty.
        most_steps: steps of L-BFGS at most, >= 1.
        start: the result for the same rows and another C, from which the search begins.

    Returns:
        kernel [D, K] and bias [K], float64; a class that no row has gets kernel 0 and a low bias.

    Examples:
        >>> rows, labels = np.array([[0.0], [1.0]]), np.array([0, 2])
        >>> kernel, bias = logistic_regression(rows, labels, np.ones(2), 3, 100.0, 50)
        >>> (rows @ kernel + bias).argmax(axis=1)
        array([0, 2])
    """
    kernel, bias = np.zeros((rows.shape[1], num_classes)), np.full(num_classes, NEVER)
    if not len(rows):
        return kernel, bias
    targets: np.ndarray
    if labels.ndim == 1:
        classes, targets = np.unique(labels, return_inverse=True)
        if len(classes) == 1:
            bias[classes] = 0.0
            return kernel, bias
        if len(classes) == 2:  # one logit, as scikit-learn has it: two would halve the penalty
            classes, targets = classes[1:], (targets > 0)[:, np.newaxis]
            bias[labels.min()] = 0.0
    else:
        shares = (labels > 0).mean(axis=0)
        bias[shares == 1] = -NEVER
        classes = np.flatnonzero((shares > 0) & (shares < 1))
        targets = labels[:, classes] > 0
    if not len(classes):
        return kernel, bias
    begin = np.zeros((rows.shape[1] + 1, len(classes)))
    if start is not None:
        begin[:-1], begin[-1] = start[0][:, classes], start[1][classes]
    found = _minimum(rows.astype(np.float32), targets, weights, c, most_steps, begin)
    kernel[:, classes], bias[classes] = found[:-1], found[-1]
    return kernel, bias


def _minimum(
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    c: float,
    most_steps: int,
    begin: np.ndarray,
) -> np.ndarray:
    """[D + 1, k] kernel, and bias in the last row, for targets [n] of a softmax or [n, k] of sigmoids."""
    total = weights.sum()
    shares = (weights / total)[:, np.newaxis]
    penalty = 1.0 / (c * total)
    every = np.arange(len(rows))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        values = flat.reshape(begin.shape)
        kernel = values[:-1]
        logits = rows @ kernel.astype(np.float32) + values[-1].astype(np.float32)
        if targets.ndim == 1:
            log_p = scipy.special.log_softmax(logits, axis=1)
            errors = -log_p[every, targets]
            slopes = np.exp(log_p)
            slopes[every, targets] -= 1.0
        else:
            errors = np.logaddexp(0.0, np.where(targets, -logits, logits)).sum(axis=1)
            slopes = scipy.special.expit(logits) - targets
        slopes = (slopes * shares).astype(np.float32)
        gradient = np.empty_like(values)
        gradient[:-1] = rows.T @ slopes + penalty * kernel
        gradient[-1] = slopes.sum(axis=0)
        value = float(shares[:, 0] @ errors) + 0.5 * penalty * float((kernel**2).sum())
        return value, gradient.ravel()

    found = scipy.optimize.minimize(
        loss,
        begin.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": most_steps, "maxfun": 2 * most_steps, "gtol": _FLAT, "ftol": 1e-12},
    )
    return found.x.reshape(begin.shape)
