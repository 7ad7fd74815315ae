"""Classification by image, by text, and by both (HUSE, section 4: weighted mean of the softmaxes)."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import f1_score

# Weights of the image that are tried; 0 and 1 are the single modalities.
FUSION_WEIGHTS = np.linspace(0.0, 1.0, 21)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose most probable class is the true one.

    Args:
        probabilities: [n, K] class scores; of equal ones the first class counts as predicted.
        labels: [n] class ids.
    """
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))


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
    """Weighted mean of two [n, K] softmaxes; `weight` in [0, 1] is the image's share."""
    return weight * image_probabilities + (1.0 - weight) * text_probabilities


def tune_fusion_weight(
    image_probabilities: np.ndarray, text_probabilities: np.ndarray, labels: np.ndarray
) -> float:
    """The image's share in `fuse` that is most accurate; to be tuned on validation items.

    Of equally accurate weights the one wins that gives the true classes the highest mean
    log-likelihood, then the one nearest to one half. Neither modality alone is more accurate on
    these items, because 0 and 1 are among the weights tried.

    Args:
        image_probabilities, text_probabilities: [n, K].
        labels: [n] class ids.
    """
    items = np.arange(len(labels))

    def merit(weight: float) -> tuple[float, float, float]:
        fused = fuse(image_probabilities, text_probabilities, weight)
        # A softmax in float32 may underflow to zero.
        likelihood = np.maximum(fused[items, labels], np.finfo(np.float32).tiny)
        # Rounded, so that weights which differ by the order of summation alone are a tie.
        log_likelihood = round(float(np.mean(np.log(likelihood))), 9)
        return accuracy(fused, labels), log_likelihood, -abs(weight - 0.5)

    return float(max(FUSION_WEIGHTS, key=merit))


def classification_metrics(
    image_probabilities: np.ndarray,
    text_probabilities: np.ndarray,
    labels: np.ndarray,
    weight: float,
) -> dict[str, float]:
    """Accuracy and macro-F1 of image, text and fused prediction, by metric path.

    Args:
        image_probabilities, text_probabilities: [n, K].
        labels: [n] class ids.
        weight: the image's share, tuned on other items than these.
    """
    predictions = {
        "image": image_probabilities,
        "text": text_probabilities,
        "fused": fuse(image_probabilities, text_probabilities, weight),
    }
    metrics = {"classification/fusion_weight": float(weight)}
    for name, probabilities in predictions.items():
        metrics[f"classification/{name}/accuracy"] = accuracy(probabilities, labels)
        metrics[f"classification/{name}/macro_f1"] = macro_f1(probabilities, labels)
    return metrics
