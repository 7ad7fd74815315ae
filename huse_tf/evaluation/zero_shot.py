"""How well classes are named that training never met (DeViSE, section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from huse_tf.evaluation.class_ranking import ranking_values


def zero_shot_values(
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    seen: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
    names_unseen: bool = True,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The figures of single items of unseen classes, by metric path, under the paper's two protocols.

    `zero_shot/unseen_only/...`: only unseen classes can be answered (DeViSE-0). `zero_shot/all/...`:
    all classes can (DeViSE+1K), and a model leans to those it was trained on. Sets of hierarchical
    precision are over all classes in both, so that the two can be compared.

    Args:
        scores: [n, K] of classes, by what they are told from (image, text, fused); rows of NaN
            where it is missing.
        labels: [n] class ids, or [n, K] multi-hot, at least one class of each item unseen.
        seen: [K] bool, whether training met the class.
        correct_sets: for each k, [K, K] bool (`Taxonomy.correct_sets`).
        names_unseen: whether scores speak of unseen classes. If not, as of the paper's softmax
            baseline, only the second protocol: no hit is to be expected, but classes near the true one.

    Returns:
        Of each path (items, values): [m] places of the items that are told, and their figures.
    """
    found = {}
    for protocol, candidates in _protocols(seen, names_unseen).items():
        for source, each in scores.items():
            told = np.flatnonzero(np.isfinite(each).all(axis=1))
            if len(told):
                values = ranking_values(each[told], labels[told], correct_sets, candidates)
                for name, of_items in values.items():
                    found[f"zero_shot/{protocol}/{source}/{name}"] = told, of_items
    return found


def zero_shot_metrics(
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    seen: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
    names_unseen: bool = True,
) -> dict[str, float]:
    """The means of `zero_shot_values`, and as `.../candidates` the number of classes to choose from.

    Chance hits 1 / candidates.
    """
    values = zero_shot_values(scores, labels, seen, correct_sets, names_unseen)
    return {
        f"zero_shot/{protocol}/candidates": float(len(candidates))
        for protocol, candidates in _protocols(seen, names_unseen).items()
    } | {path: float(each.mean()) for path, (_, each) in values.items()}


def _protocols(seen: np.ndarray, names_unseen: bool) -> dict[str, np.ndarray]:
    among_unseen = {"unseen_only": np.flatnonzero(~seen)} if names_unseen else {}
    return {**among_unseen, "all": np.arange(len(seen))}
