"""Which classes are taken for which: counts, the most confused pairs, and figures by class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import f1_score

from huse_tf.evaluation.multi_label import THRESHOLD


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """[K, K] int64 number of items by true class (row) and predicted class (column)."""
    pairs = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def taken_as(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """[n] one true class for each item.

    Args:
        labels: [n] class ids, which stay; or [n, K] multi-hot: then the predicted class where it is
            one of the item's, and its first class otherwise.
        predicted: [n] class ids.
    """
    if labels.ndim == 1:
        return labels
    is_right = labels[np.arange(len(labels)), predicted] > 0
    return np.where(is_right, predicted, labels.argmax(axis=1))


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
    labels: np.ndarray, probabilities: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """For each name of `probabilities`, the F1 of each class, [K].

    Args:
        labels: [n] class ids, whose prediction is the most probable class; or [n, K] multi-hot, where
            every class above `THRESHOLD` is predicted.
        probabilities: [n, K] each; rows of NaN are left out.
    """
    scores = {}
    for name, rows in probabilities.items():
        there = ~np.isnan(rows).any(axis=1)
        true, rows = labels[there], rows[there]
        classes = np.arange(rows.shape[1])
        if not there.any():
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
