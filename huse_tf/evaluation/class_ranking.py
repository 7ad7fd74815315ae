"""Classes ranked by their scores: flat hit@k and hierarchical precision@k (DeViSE, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

HIT_AT = (1, 2, 5, 10, 20)  # as in the paper


def top_hits(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] bool: True where the class of highest score is the true one, or one of several true ones.

    Args:
        scores: [n, K]; of equal scores the first class counts as predicted.
        labels: [n] class ids, or [n, K] multi-hot.
    """
    best = np.argmax(scores, axis=1)
    if labels.ndim == 1:
        return best == labels
    return labels[np.arange(len(labels)), best] > 0


def ranked_classes(scores: np.ndarray, k: int, candidates: np.ndarray | None = None) -> np.ndarray:
    """[n, k] class ids by descending score; of equal scores the lower class id comes first.

    Args:
        scores: [n, K].
        k: from 1 to the number of candidates.
        candidates: ids of the classes to choose from, ascending; None for all.

    Examples:
        >>> ranked_classes(np.array([[0.1, 0.7, 0.2]]), k=2)
        array([[1, 2]])
    """
    if candidates is None:
        candidates = np.arange(scores.shape[1])
    places = np.argsort(-scores[:, candidates], axis=1, kind="stable")[:, :k]
    return candidates[places]


def hits_at(ranked: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """[n] 1.0 for an item with a true class among the first k, else 0.0.

    Args:
        ranked: [n, at least k] class ids, from `ranked_classes`.
        labels: [n] class ids, or [n, K] multi-hot.
        k: the cut-off, at least 1.
    """
    first = ranked[:, :k]
    if labels.ndim == 1:
        found = first == labels[:, None]
    else:
        found = np.take_along_axis(labels, first, axis=1) > 0
    return found.any(axis=1).astype(float)


def hierarchical_precisions_at(
    ranked: np.ndarray, labels: np.ndarray, k: int, correct_set: np.ndarray
) -> np.ndarray:
    """[n] the share of an item's first k classes that lie in the correct set of its true class.

    Args:
        ranked, labels, k: as for `hits_at`.
        correct_set: [K, K] bool, row = true class, column = class in its set for this k
            (`Taxonomy.correct_sets`). The sets of an item's several classes are united.

    Returns:
        Shares in [0, 1].

    Examples:
        Three classes, of which 0 and 1 are near each other. The first two answers are 1 and 2:

        >>> near = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
        >>> hierarchical_precisions_at(np.array([[1, 2]]), np.array([0]), 2, near)
        array([0.5])
    """
    if labels.ndim == 1:
        correct = correct_set[labels]
    else:
        correct = labels @ correct_set.astype(np.float32) > 0
    return np.take_along_axis(correct, ranked[:, :k], axis=1).mean(axis=1)


def ranking_values(
    scores: np.ndarray,
    labels: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
    candidates: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """`hit_at_K` for K in `HIT_AT`, and `hierarchical_precision_at_K` for each K with a correct set.

    Metrics that cannot be below 1 are left out: cut-offs that take in every candidate, and cut-offs
    for which every class is in every class's correct set.

    Args:
        scores: [n, K].
        labels: [n] class ids, or [n, K] multi-hot.
        correct_sets: for each k, [K, K] bool.
        candidates: ids of the classes to choose from, ascending; None for all.

    Returns:
        Name -> [n] values in [0, 1], one per item.
    """
    count = scores.shape[1] if candidates is None else len(candidates)
    ranked = ranked_classes(scores, max((*HIT_AT, *correct_sets)), candidates)
    hits = {f"hit_at_{k}": hits_at(ranked, labels, k) for k in HIT_AT if k < count}
    precisions = {
        f"hierarchical_precision_at_{k}": hierarchical_precisions_at(ranked, labels, k, correct_set)
        for k, correct_set in correct_sets.items()
        if k < count and not correct_set.all()
    }
    return hits | precisions


def ranking_metrics(
    scores: np.ndarray,
    labels: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
    candidates: np.ndarray | None = None,
) -> dict[str, float]:
    """The means of `ranking_values` over the items.

    Examples:
        >>> scores, labels = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]), np.array([0, 1])
        >>> ranking_metrics(scores, labels, correct_sets={})
        {'hit_at_1': 0.5, 'hit_at_2': 1.0}
    """
    values = ranking_values(scores, labels, correct_sets, candidates)
    return {name: float(each.mean()) for name, each in values.items()}
