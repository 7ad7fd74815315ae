"""Which classes are taken for which: counts, the most confused pairs, and figures by class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import f1_score


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """[K, K] int64 number of items by true class (row) and predicted class (column)."""
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclasses.dataclass(frozen=True)
class Confusion:
    """Items of class `true` that were taken for `predicted`: `count` of `support`."""

    true: int
    predicted: int
    count: int
    support: int


def most_confused(counts: np.ndarray, limit: int) -> list[Confusion]:
    """The pairs of classes with the most wrong items, at most `limit`; `counts` [K, K]."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    return [
        Confusion(int(t), int(p), int(wrong[t, p]), int(counts[t].sum()))
        for t, p in zip(*np.unravel_index(order, counts.shape), strict=True)
        if wrong[t, p]
    ]


def f1_by_class(
    labels: np.ndarray, predictions: Mapping[str, np.ndarray], num_classes: int
) -> dict[str, np.ndarray]:
    """For each name of `predictions` ([n] class ids), the F1 of each class, [K]."""
    classes = np.arange(num_classes)
    return {
        name: f1_score(labels, predicted, labels=classes, average=None, zero_division=0.0)
        for name, predicted in predictions.items()
    }
