"""Confusion of classes: counts, the most confused pairs, and F1 by class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import f1_score

from huse_tf.evaluation.multi_label import THRESHOLD


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """[K, K] int64 number of items by true class (row) and predicted class (column).

    Examples:
        >>> confusion_counts(np.array([0, 1, 1]), np.array([0, 1, 0]), num_classes=2)
        array([[1, 0],
               [1, 1]])
    """
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def one_true_class(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """[n] one true class per item, so that items of several classes can be counted.

    Args:
        labels: [n] class ids, returned unchanged; or [n, K] multi-hot.
        predicted: [n] class ids.

    Returns:
        Of multi-hot labels the predicted class if it is one of the item's, else the item's first class.
    """
    if labels.ndim == 1:
        return labels
    is_right = labels[np.arange(len(labels)), predicted] > 0
    return np.where(is_right, predicted, labels.argmax(axis=1))


@dataclasses.dataclass(frozen=True)
class Confusion:
    """`count` of the `support` items of class `true` were predicted as class `predicted`."""

    true: int
    predicted: int
    count: int
    support: int


def most_confused(counts: np.ndarray, limit: int) -> list[Confusion]:
    """The pairs of classes with the most wrong items, most first, at most `limit`.

    Args:
        counts: [K, K] from `confusion_counts`.
        limit: number of pairs.
    """
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    return [
        Confusion(int(t), int(p), int(wrong[t, p]), int(counts[t].sum()))
        for t, p in zip(*np.unravel_index(order, counts.shape), strict=True)
        if wrong[t, p]
    ]


def f1_by_class(
    labels: np.ndarray, probabilities: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """For each name of `probabilities`, the F1 of each class, [K].

    Args:
        labels: [n] class ids, with the most probable class as the prediction; or [n, K] multi-hot,
            with every class above `THRESHOLD` predicted.
        probabilities: [n, K] each; rows of NaN are left out.
    """
    scores = {}
    for name, rows in probabilities.items():
        present = ~np.isnan(rows).any(axis=1)
        true, rows = labels[present], rows[present]
        classes = np.arange(rows.shape[1])
        if not present.any():
            scores[name] = np.full(len(classes), np.nan)
            continue
        predicted = rows.argmax(axis=1) if labels.ndim == 1 else rows > THRESHOLD
        scores[name] = f1_score(
            true if labels.ndim == 1 else true > 0,
            predicted,
            labels=classes,
            average=None,
            zero_division=0.0,
        )
    return scores
