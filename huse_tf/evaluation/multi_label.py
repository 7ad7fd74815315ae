"""Metrics of predictions where items have several classes, each class with its own probability."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, f1_score

# A class is predicted where its probability is above this.
THRESHOLD = 0.5


def subset_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose predicted set of classes is the true set, in [0, 1].

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot.
    """
    return float(np.mean(np.all((probabilities > THRESHOLD) == (labels > 0), axis=1)))


def micro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """F1 over all pairs of an item and a class, in [0, 1].

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot.
    """
    predicted = probabilities > THRESHOLD
    return float(f1_score(labels > 0, predicted, average="micro", zero_division=0.0))


def label_set_macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Unweighted mean of the F1 of every class that occurs among the labels or the predictions.

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot.

    Returns:
        A share in [0, 1]. For items of one class see `classification.macro_f1`.
    """
    predicted = probabilities > THRESHOLD
    occurs = np.any(predicted | (labels > 0), axis=0)
    scores = f1_score(labels > 0, predicted, average=None, zero_division=0.0)
    return float(np.mean(scores[occurs]))


def class_mean_average_precision(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur: the average precision of all items, ranked by that class.

    Args:
        probabilities: [n, K], each in [0, 1]; items of equal probability share one rank.
        labels: [n, K] multi-hot.

    Returns:
        A mean in (0, 1]. For the mAP of retrieval see `retrieval.retrieval_metrics`.
    """
    columns = zip(labels.T > 0, probabilities.T, strict=True)
    return float(np.mean([average_precision_score(*c) for c in columns if c[0].any()]))


def multi_label_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`subset_accuracy`, `micro_f1`, `macro_f1` and `mean_average_precision`.

    Args:
        probabilities: [n, K], each in [0, 1].
        labels: [n, K] multi-hot, at least one class each.

    Examples:
        >>> probabilities, labels = np.array([[0.9, 0.8], [0.2, 0.7]]), np.array([[1, 0], [0, 1]])
        >>> multi_label_metrics(probabilities, labels)["subset_accuracy"]
        0.5
    """
    return {
        "subset_accuracy": subset_accuracy(probabilities, labels),
        "micro_f1": micro_f1(probabilities, labels),
        "macro_f1": label_set_macro_f1(probabilities, labels),
        "mean_average_precision": class_mean_average_precision(probabilities, labels),
    }
