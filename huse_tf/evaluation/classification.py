"""Classification by image, by text, and by both (HUSE, section 4: weighted mean of the softmaxes)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import f1_score

from huse_tf.evaluation.class_ranking import ranking_figures
from huse_tf.evaluation.multi_label import multi_label_figures

# Weights of the image that are tried; 0 and 1 are the single modalities.
FUSION_WEIGHTS = np.linspace(0.0, 1.0, 21)
_RESAMPLES = 200


def hits(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] bool: whether the most probable class is the true one, or one of several true ones.

    Args:
        probabilities: [n, K] class scores; of equal ones the first class counts as predicted.
        labels: [n] class ids, or [n, K] multi-hot.
    """
    best = np.argmax(probabilities, axis=1)
    if labels.ndim == 1:
        return best == labels
    return labels[np.arange(len(labels)), best] > 0


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose most probable class is the true one.

    Args:
        probabilities: [n, K] class scores; of equal ones the first class counts as predicted.
        labels: [n] class ids.
    """
    return float(np.mean(hits(probabilities, labels)))


def macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Unweighted mean of the F1 of every class that occurs among the labels or the predictions.

    Args:
        probabilities: [n, K] class scores.
        labels: [n] class ids.
    """
    predicted = np.argmax(probabilities, axis=1)
    return float(f1_score(labels, predicted, average="macro", zero_division=0.0))


def fuse(
    image_probabilities: np.ndarray, text_probabilities: np.ndarray, weight: float
) -> np.ndarray:
    """Weighted mean of two [n, K] probabilities; `weight` in [0, 1] is the image's share."""
    return weight * image_probabilities + (1.0 - weight) * text_probabilities


def fuse_present(
    image_probabilities: np.ndarray,
    text_probabilities: np.ndarray,
    image_mask: np.ndarray,
    text_mask: np.ndarray,
    weight: float,
) -> np.ndarray:
    """[n, K] `fuse` for items with image and text, and the one that is there for the others.

    Args:
        image_probabilities, text_probabilities: [n, K]; rows of what is missing are not used.
        image_mask, text_mask: [n] bool, one of them true for each item.
        weight: the image's share.
    """
    both = fuse(image_probabilities, text_probabilities, weight)
    return where_complete(both, image_probabilities, text_probabilities, image_mask, text_mask)


def where_complete(
    both: np.ndarray,
    image_probabilities: np.ndarray,
    text_probabilities: np.ndarray,
    image_mask: np.ndarray,
    text_mask: np.ndarray,
) -> np.ndarray:
    """[n, K] `both` for items with image and text, and the one that is there for the others."""
    without_text = np.where(image_mask[:, None], both, text_probabilities)
    return np.where(text_mask[:, None], without_text, image_probabilities)


def log_likelihoods(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[n] log-probability of each item's class, or of its set of classes if they are independent.

    Args:
        probabilities: [n, K]; a softmax or sigmoid in float32 may have underflowed to 0.
        labels: [n] class ids, or [n, K] multi-hot.
    """
    if labels.ndim == 1:
        chances = probabilities[np.arange(len(labels)), labels][:, None]
    else:
        chances = np.where(labels > 0, probabilities, 1.0 - probabilities)
    return np.log(np.maximum(chances, np.finfo(np.float32).tiny)).sum(axis=1)


def tune_fusion_weight(
    image_probabilities: np.ndarray, text_probabilities: np.ndarray, labels: np.ndarray
) -> float:
    """The image's share in `fuse` that is most accurate; to be tuned on validation items.

    Of equally accurate weights the one wins that gives the true classes the highest mean
    log-likelihood, then the one nearest to one half. Neither modality alone is more accurate on
    these items, because 0 and 1 are among the weights tried.

    Args:
        image_probabilities, text_probabilities: [n, K], of items with image and text.
        labels: [n] class ids, or [n, K] multi-hot (accuracy is then that of the most probable class,
            see `hits`).
    """

    def merit(weight: float) -> tuple[float, float, float]:
        fused = fuse(image_probabilities, text_probabilities, weight)
        # Rounded, so that weights which differ by the order of summation alone are a tie.
        log_likelihood = round(float(np.mean(log_likelihoods(fused, labels))), 9)
        return float(np.mean(hits(fused, labels))), log_likelihood, -abs(weight - 0.5)

    return float(max(FUSION_WEIGHTS, key=merit))


def bagged_fusion_weight(
    image_probabilities: np.ndarray,
    text_probabilities: np.ndarray,
    labels: np.ndarray,
    products: np.ndarray,
) -> float:
    """The image's share in `fuse` by the mean over resamples of the products, each with its best one.

    On few products the most accurate weight is a matter of a handful of items. A resample keeps each
    product a Poisson(1) number of times (the online bootstrap of Oza and Russell, 2001), and counts the
    mean of its equally accurate weights.

    Args:
        image_probabilities, text_probabilities, labels: as in `tune_fusion_weight`.
        products: [n] product of each item, of any type.
    """
    codes = np.unique(products, return_inverse=True)[1]
    fused = (fuse(image_probabilities, text_probabilities, weight) for weight in FUSION_WEIGHTS)
    right = np.stack([np.bincount(codes, hits(each, labels)) for each in fused], axis=1)
    times = np.random.default_rng(0).poisson(1.0, (_RESAMPLES, len(right)))
    counts = times @ right  # [resamples, weights] right items
    best = counts == counts.max(axis=1, keepdims=True)
    return float(((best @ FUSION_WEIGHTS) / best.sum(axis=1)).mean())


def availability_patterns(image_mask: np.ndarray, text_mask: np.ndarray) -> dict[str, np.ndarray]:
    """[n] bool by name of what items have, for each pattern that occurs; none if all have both."""
    complete = image_mask & text_mask
    if complete.all():
        return {}
    patterns = {
        "image_and_text": complete,
        "image_only": image_mask & ~text_mask,
        "text_only": text_mask & ~image_mask,
    }
    return {name: rows for name, rows in patterns.items() if rows.any()}


def classification_metrics(
    image_probabilities: np.ndarray,
    text_probabilities: np.ndarray,
    image_mask: np.ndarray,
    text_mask: np.ndarray,
    labels: np.ndarray,
    weight: float,
    fused: np.ndarray | None = None,
    correct_sets: Mapping[int, np.ndarray] | None = None,
) -> dict[str, float]:
    """The figures of image, text and fused prediction, by metric path.

    Those of the image are over the items with an image, those of the text over the items with a
    text. Where something is missing, the fused prediction's come again for each pattern that occurs
    (`classification/fused/image_only/accuracy`, `.../text_only/...`, `.../image_and_text/...`) with
    the number of its items (`.../items`).

    Args:
        image_probabilities, text_probabilities: [n, K]; rows of what is missing are not used.
        image_mask, text_mask: [n] bool, one of them true for each item.
        labels: [n] class ids, or [n, K] multi-hot.
        weight: the image's share, tuned on other items than these.
        fused: [n, K] of a model that fuses image and text itself; `weight` is not used then.
        correct_sets: for each k of hierarchical precision, [K, K] bool (`Taxonomy.correct_sets`).
    """
    metrics = {}
    if fused is None:
        fused = fuse_present(image_probabilities, text_probabilities, image_mask, text_mask, weight)
        metrics["classification/fusion_weight"] = float(weight)
    parts = {
        "image": (image_probabilities, image_mask),
        "text": (text_probabilities, text_mask),
        "fused": (fused, image_mask | text_mask),
    }
    for name, rows in availability_patterns(image_mask, text_mask).items():
        parts[f"fused/{name}"] = (fused, rows)
        metrics[f"classification/fused/{name}/items"] = float(rows.sum())
    for name, (probabilities, rows) in parts.items():
        if rows.any():
            for figure, value in _figures(
                probabilities[rows], labels[rows], correct_sets or {}
            ).items():
                metrics[f"classification/{name}/{figure}"] = value
    return metrics


def _figures(
    probabilities: np.ndarray, labels: np.ndarray, correct_sets: Mapping[int, np.ndarray]
) -> dict[str, float]:
    ranking = ranking_figures(probabilities, labels, correct_sets)
    if labels.ndim == 2:
        return ranking | multi_label_figures(probabilities, labels)
    ranking.pop("hit_at_1", None)  # under its usual name
    return {
        "accuracy": accuracy(probabilities, labels),
        "macro_f1": macro_f1(probabilities, labels),
        **ranking,
    }
