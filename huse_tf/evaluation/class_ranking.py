"""Classes ranked by their scores: flat hit@k and hierarchical precision@k (DeViSE, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

HIT_AT = (1, 2, 5, 10, 20)  # as in the paper


def ranked_classes(scores: np.ndarray, k: int, candidates: np.ndarray | None = None) -> np.ndarray:
    """[n, k] the classes of highest score, the highest first; of equal ones the first class.

    Args:
        scores: [n, K].
        k: from 1 to the number of candidates.
        candidates: ids of the classes to choose from, ascending; None for all.
    """
    if candidates is None:
        candidates = np.arange(scores.shape[1])
    places = np.argsort(-scores[:, candidates], axis=1, kind="stable")[:, :k]
    return candidates[places]


def hits_at(ranked: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """[n] 1 for an item with a true class among the first k, else 0.

    Args:
        ranked: [n, at least k] class ids, from `ranked_classes`.
        labels: [n] class ids, or [n, K] multi-hot.
        k: number of classes looked at.
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
    """[n] the share of an item's first k classes that are in its true class's set.

    Args:
        ranked, labels, k: as for `hits_at`.
        correct_set: [K, K] bool, row = true class, column = class in its set of this k
            (`Taxonomy.correct_sets`). Sets of an item's several classes are united.
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
    """[n] each: `hit_at_K` for K in `HIT_AT`, `hierarchical_precision_at_K` for those with a correct set.

    What cannot be missed is left out: cut-offs that take in every candidate, and those where every
    class is in every class's set.

    Args:
        scores: [n, K].
        labels: [n] class ids, or [n, K] multi-hot.
        correct_sets: for each k, [K, K] bool.
        candidates: ids of the classes to choose from, ascending; None for all.
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


def ranking_figures(
    scores: np.ndarray,
    labels: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
    candidates: np.ndarray | None = None,
) -> dict[str, float]:
    """The means of `ranking_values` over the items."""
    values = ranking_values(scores, labels, correct_sets, candidates)
    return {name: float(each.mean()) for name, each in values.items()}
