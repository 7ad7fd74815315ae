"""How well classes are named that training never met (DeViSE, section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from huse_tf.evaluation.class_ranking import ranking_figures


def zero_shot_metrics(
    scores: Mapping[str, np.ndarray],
    labels: np.ndarray,
    seen: np.ndarray,
    correct_sets: Mapping[int, np.ndarray],
) -> dict[str, float]:
    """The figures of items of unseen classes, by metric path, under the paper's two protocols.

    `zero_shot/unseen_only/...`: only unseen classes can be answered (DeViSE-0). `zero_shot/all/...`:
    all classes can (DeViSE+1K), and a model leans to those it was trained on. Sets of hierarchical
    precision are over all classes in both, so that the two can be compared. `.../candidates` is the
    number of classes to choose from: chance hits 1 / candidates.

    Args:
        scores: [n, K] of classes, by what they are told from (image, text, fused); rows of NaN
            where it is missing.
        labels: [n] class ids, or [n, K] multi-hot, at least one class of each item unseen.
        seen: [K] bool, whether training met the class.
        correct_sets: for each k, [K, K] bool (`Taxonomy.correct_sets`).
    """
    protocols = {"unseen_only": np.flatnonzero(~seen), "all": np.arange(len(seen))}
    metrics = {}
    for protocol, candidates in protocols.items():
        path = f"zero_shot/{protocol}"
        metrics[f"{path}/candidates"] = float(len(candidates))
        for source, values in scores.items():
            told = np.isfinite(values).all(axis=1)
            if told.any():
                figures = ranking_figures(values[told], labels[told], correct_sets, candidates)
                metrics |= {f"{path}/{source}/{name}": v for name, v in figures.items()}
    return metrics
