"""Classification from the image, from the text, and from both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import f1_score

from huse_tf.evaluation.class_ranking import ranking_metrics, top_hits
from huse_tf.evaluation.multi_label import multi_label_metrics
from huse_tf.evaluation.predictions import FUSED, Predictions


def class_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose most probable class is the true one, in [0, 1].

    Args:
        probabilities: [n, K] class scores; of equal scores the first class counts as predicted.
        labels: [n] class ids.

    Examples:
        >>> class_accuracy(np.array([[0.7, 0.3], [0.6, 0.4]]), np.array([0, 1]))
        0.5
    """
    return float(np.mean(top_hits(probabilities, labels)))


def macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Unweighted mean of the F1 of every class that occurs among the labels or the predictions.

    Args:
        probabilities: [n, K] class scores; of equal scores the first class counts as predicted.
        labels: [n] class ids.

    Returns:
        A share in [0, 1]. For items of several classes see `multi_label.label_set_macro_f1`.
    """
    predicted = np.argmax(probabilities, axis=1)
    return float(f1_score(labels, predicted, average="macro", zero_division=0.0))


def classification_metrics(
    predictions: Predictions,
    labels: np.ndarray,
    fusion_weight: float | None,
    correct_sets: Mapping[int, np.ndarray] | None = None,
) -> dict[str, float]:
    """The metrics of the image's, the text's and the fused prediction, by metric path.

    The image's are over the items with an image, the text's over the items with a text. If some items
    lack one of the two, the fused prediction is measured once more for each pattern that occurs
    (`classification/fused/image_only/accuracy`, `.../text_only/...`, `.../image_and_text/...`), with
    the number of its items (`.../items`).

    Args:
        predictions: of n items, each with an image or a text.
        labels: [n] class ids, or [n, K] multi-hot.
        fusion_weight: the image's share in [0, 1], tuned on other items than these. A model that fuses
            itself does not use it, and has no metric `classification/fusion_weight`.
        correct_sets: for each k of hierarchical precision, [K, K] bool (`Taxonomy.correct_sets`).

    Returns:
        Metrics such as `classification/image/accuracy` and `classification/fused/macro_f1`. Items of
        several classes have `hit_at_1` and the metrics of `multi_label_metrics` instead.
    """
    metrics = {}
    if not predictions.fuses_itself and fusion_weight is not None:
        metrics["classification/fusion_weight"] = float(fusion_weight)
    sources = predictions.by_source(fusion_weight)
    for name, rows in predictions.availability_patterns().items():
        sources[f"{FUSED}/{name}"] = (sources[FUSED][0], rows)
        metrics[f"classification/{FUSED}/{name}/items"] = float(rows.sum())
    for source, (probabilities, rows) in sources.items():
        if rows.any():
            found = _metrics_of_source(probabilities[rows], labels[rows], correct_sets or {})
            metrics |= {f"classification/{source}/{name}": value for name, value in found.items()}
    return metrics


def _metrics_of_source(
    probabilities: np.ndarray, labels: np.ndarray, correct_sets: Mapping[int, np.ndarray]
) -> dict[str, float]:
    ranking = ranking_metrics(probabilities, labels, correct_sets)
    if labels.ndim == 2:
        return ranking | multi_label_metrics(probabilities, labels)
    ranking.pop("hit_at_1", None)  # equals the accuracy
    return {
        "accuracy": class_accuracy(probabilities, labels),
        "macro_f1": macro_f1(probabilities, labels),
        **ranking,
    }
