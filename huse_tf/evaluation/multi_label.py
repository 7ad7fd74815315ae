"""Figures of predictions where items have several classes and every class has its own probability."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, f1_score

# A class is predicted where its probability is above this.
THRESHOLD = 0.5


def subset_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of items of which exactly their classes are predicted, no fewer and no others.

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot.
    """
    return float(np.mean(np.all((probabilities > THRESHOLD) == (labels > 0), axis=1)))


def micro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """F1 over all pairs of an item and a class.

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot.
    """
    predicted = probabilities > THRESHOLD
    return float(f1_score(labels > 0, predicted, average="micro", zero_division=0.0))


def macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Unweighted mean of the F1 of every class that occurs among the labels or the predictions.

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot.
    """
    predicted = probabilities > THRESHOLD
    occurs = np.any(predicted | (labels > 0), axis=0)
    scores = f1_score(labels > 0, predicted, average=None, zero_division=0.0)
    return float(np.mean(scores[occurs]))


def mean_average_precision(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of the average precision of the items ranked by that class.

    Args:
        probabilities: [n, K], each in [0, 1]; items of equal probability share one rank.
        labels: [n, K] multi-hot.
    """
    columns = zip(labels.T > 0, probabilities.T, strict=True)
    return float(np.mean([average_precision_score(*c) for c in columns if c[0].any()]))


def multi_label_figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All of the above, by name.

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot, at least one class each.
    """
    figures = (subset_accuracy, micro_f1, macro_f1, mean_average_precision)
    return {figure.__name__: figure(probabilities, labels) for figure in figures}
