"""Classification of items whose classes have no training items (DeViSE, section 4.3)."""

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
    """hit@k and hierarchical precision at k of each item, under the paper's two protocols.

    `zero_shot/unseen_only/...`: the candidates are the unseen classes (DeViSE-0). `zero_shot/all/...`:
    the candidates are all classes (DeViSE+1K); models prefer the classes that they were trained on.
    Both use the correct sets of hierarchical precision over all classes, so the two are comparable.

    Args:
        scores: source (image, text, fused) -> [n, K] class scores; rows of NaN where it is missing.
        labels: [n] class ids, or [n, K] multi-hot; at least one class of each item is unseen.
        seen: [K] bool, True where the class has training items.
        correct_sets: for each k, [K, K] bool (`Taxonomy.correct_sets`).
        names_unseen: whether the model scores unseen classes. If not, as in the paper's softmax
            baseline, only the protocol `all` is measured: hits are not expected there, but classes near
            the true one are.

    Returns:
        Metric path -> ([m] row numbers of the items that are scored, [m] values in [0, 1]).
    """
    found = {}
    for protocol, candidates in _candidates(seen, names_unseen).items():
        for source, each in scores.items():
            scored = np.flatnonzero(np.isfinite(each).all(axis=1))
            if len(scored):
                values = ranking_values(each[scored], labels[scored], correct_sets, candidates)
                for name, of_items in values.items():
                    found[f"zero_shot/{protocol}/{source}/{name}"] = scored, of_items
    return found


def zero_shot_metrics(
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    seen: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
    names_unseen: bool = True,
) -> dict[str, float]:
    """The means of `zero_shot_values`, and as `.../candidates` the number of candidate classes.

    A random order of the classes has hit@1 = 1 / candidates. The arguments are those of
    `zero_shot_values`.

    Examples:
        The item's class 2 is unseen, and scores below the seen class 0:

        >>> scores, seen = {"image": np.array([[0.6, 0.1, 0.3]])}, np.array([True, False, False])
        >>> found = zero_shot_metrics(scores, np.array([2]), seen, correct_sets={})
        >>> found["zero_shot/unseen_only/image/hit_at_1"], found["zero_shot/all/image/hit_at_1"]
        (1.0, 0.0)
    """
    values = zero_shot_values(scores, labels, seen, correct_sets, names_unseen)
    return {
        f"zero_shot/{protocol}/candidates": float(len(candidates))
        for protocol, candidates in _candidates(seen, names_unseen).items()
    } | {path: float(each.mean()) for path, (_, each) in values.items()}


def _candidates(seen: np.ndarray, names_unseen: bool) -> dict[str, np.ndarray]:
    among_unseen = {"unseen_only": np.flatnonzero(~seen)} if names_unseen else {}
    return {**among_unseen, "all": np.arange(len(seen))}
