"""Logistic regression on fixed vectors, by scikit-learn's lbfgs, for classifiers that are solved for."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

NEVER = -30.0  # logit of a class that no row has


def logistic_regression(
    rows: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    num_classes: int,
    c: float,
    most_steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias of the class scores rows @ kernel + bias.

    The loss is the sum of the weighted cross-entropies, times C, plus half the square of the kernel.

    Args:
        rows: [n, D] vectors.
        labels: [n] int labels, for a softmax; or [n, K] multi-hot, for a sigmoid a class.
        weights: [n] > 0; a row of weight 2 counts like two equal rows.
        num_classes: K.
        c: scikit-learn's C > 0; the larger, the weaker the penalty.
        most_steps: steps of lbfgs at most, >= 1.

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
    if labels.ndim == 1:
        classes, kernel_of, bias_of = _solved(rows, labels, weights, c, most_steps)
        kernel[:, classes], bias[classes] = kernel_of, bias_of
        return kernel, bias
    for label in range(num_classes):
        classes, kernel_of, bias_of = _solved(rows, labels[:, label] > 0, weights, c, most_steps)
        if len(classes) == 2:
            kernel[:, label] = kernel_of[:, 1] - kernel_of[:, 0]
            bias[label] = bias_of[1] - bias_of[0]
        elif classes[0]:
            bias[label] = -NEVER
    return kernel, bias


def _solved(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, c: float, most_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The n labels that occur, ascending, with kernel [D, n] and bias [n] of their scores."""
    classes = np.unique(labels)
    if len(classes) == 1:
        return classes, np.zeros((rows.shape[1], 1)), np.zeros(1)
    regression = LogisticRegression(C=c, max_iter=most_steps)
    with warnings.catch_warnings():
        # Stopping early is intended.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(rows, labels, sample_weight=weights)
    kernel, bias = regression.coef_.T, regression.intercept_
    if len(classes) == 2:  # scikit-learn then gives the logit of the second class only
        kernel, bias = np.c_[0.0 * kernel, kernel], np.array([0.0, bias[0]])
    return regression.classes_, kernel, bias
