"""Linear probes: what a linear classifier makes of embeddings that are left as they are.

As of Radford et al. 2021 (arXiv 2103.00020), 3.2: logistic regression, solved and not trained along,
for a probe that lags behind embeddings which go on moving measures the probe.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

MOST_ROWS = 20_000  # of larger catalogues, so that a validation does not wait for its probes
# scikit-learn's C, on rows of mean 0 and mean square 1. From .01 to 1 it changes validation accuracy on
# the bundled catalogue (four methods, one seed) by .05 at most.
_C = 0.1
_MOST_STEPS = 100  # some need twice as many to converge; a validation should not wait for them
_NEVER = -30.0  # logit of a class that no row has


def linear_probe(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Class scores rows @ kernel + bias.

    Args:
        rows: [n, D] embeddings.
        labels: [n] int labels, for a softmax; or [n, K] multi-hot, for a sigmoid a class.
        weights: [n] >= 0; a row of weight 2 counts like two equal rows, one of 0 not at all.
        num_classes: K.

    Returns:
        kernel [D, K] and bias [K], float32; a class that no row has gets kernel 0 and a low bias.
    """
    kernel = np.zeros((rows.shape[1], num_classes))
    bias = np.full(num_classes, _NEVER)
    there = weights > 0
    rows, labels, weights = rows[there].astype(np.float64), labels[there], weights[there]
    if not len(rows):
        return kernel.astype(np.float32), bias.astype(np.float32)
    mean = np.average(rows, axis=0, weights=weights)
    rows = rows - mean
    # One scale for all, so that the penalty means the same at any size, and directions keep theirs.
    scale = np.sqrt(np.average(np.mean(rows**2, axis=1), weights=weights)) or 1.0
    rows /= scale
    if labels.ndim == 1:
        classes, kernel_of, bias_of = _solved(rows, labels, weights)
        kernel[:, classes], bias[classes] = kernel_of, bias_of
    else:
        for label in range(num_classes):
            classes, kernel_of, bias_of = _solved(rows, labels[:, label] > 0, weights)
            if len(classes) == 2:
                kernel[:, label] = kernel_of[:, 1] - kernel_of[:, 0]
                bias[label] = bias_of[1] - bias_of[0]
            elif classes[0]:
                bias[label] = -_NEVER
    kernel /= scale
    return kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32)


def _solved(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels that there are, ascending, and kernel [D, their number] and bias of each."""
    classes = np.unique(labels)
    if len(classes) == 1:
        return classes, np.zeros((rows.shape[1], 1)), np.zeros(1)
    regression = LogisticRegression(C=_C, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        # It may stop early, by choice.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(rows, labels, sample_weight=weights)
    kernel, bias = regression.coef_.T, regression.intercept_
    if len(classes) == 2:  # scikit-learn then has the logit of the second over the first
        kernel, bias = np.c_[0.0 * kernel, kernel], np.array([0.0, bias[0]])
    return regression.classes_, kernel, bias
