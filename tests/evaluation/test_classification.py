"""Accuracy, macro-F1 and the metrics of each source: hand-derived cases and a slow F1."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.evaluation.classification import (
    class_accuracy,
    classification_metrics,
    macro_f1,
)
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def random_softmax(seed: int, labels: np.ndarray, classes: int, signal: float) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += signal
    return softmax(logits)


def slow_macro_f1(predicted: list[int], labels: list[int]) -> float:
    scores = []
    for c in sorted(set(predicted) | set(labels)):
        true_positives = sum(p == c == t for p, t in zip(predicted, labels, strict=True))
        scores.append(2 * true_positives / (predicted.count(c) + labels.count(c)))
    return sum(scores) / len(scores)


def test_accuracy_by_hand():
    """Predictions 0 1 1 2 against labels 0 1 2 2: three of four."""
    probabilities = np.eye(3)[[0, 1, 1, 2]]
    assert class_accuracy(probabilities, np.array([0, 1, 2, 2])) == 0.75


def test_macro_f1_by_hand():
    """Predictions 0 0 1 against labels 0 1 1, four classes known.

    Class 0: precision 1/2, recall 1, F1 2/3. Class 1: precision 1, recall 1/2, F1 2/3. Classes 2
    and 3 occur nowhere and do not count as zeros.
    """
    assert macro_f1(np.eye(4)[[0, 0, 1]], np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_macro_f1_counts_a_class_that_is_only_predicted():
    """Predictions 0 2 against labels 0 0: class 0 has F1 2/3, class 2 has 0; mean 1/3."""
    assert macro_f1(np.eye(3)[[0, 2]], np.array([0, 0])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_equals_the_slow_implementation(seed):
    labels = np.random.default_rng(seed).integers(0, 9, 40)
    probabilities = random_softmax(seed, labels, 12, signal=1.0)
    predicted = [max(range(12), key=list(row).__getitem__) for row in probabilities]
    expected = slow_macro_f1(predicted, labels.tolist())
    assert macro_f1(probabilities, labels) == pytest.approx(expected, abs=1e-12)


def test_a_missing_modality_is_not_fused():
    """Both, image only, text only; NaN stands for a missing one."""
    nan = [np.nan, np.nan]
    image, text = np.array([[0.8, 0.2], [0.9, 0.1], nan]), np.array([[0.4, 0.6], nan, [0.3, 0.7]])
    masks = np.array([True, True, False]), np.array([True, False, True])
    fused = predictions(image, text, *masks).fused(0.25)
    np.testing.assert_allclose(fused, [[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])


def predictions(
    image: np.ndarray,
    text: np.ndarray,
    image_mask: np.ndarray | None = None,
    text_mask: np.ndarray | None = None,
) -> Predictions:
    """Of these probabilities; the masks are true where none are given."""
    everywhere, nothing = np.ones(len(image), bool), np.zeros((len(image), 1), np.float32)
    return Predictions(
        ModalityPredictions(nothing, image, everywhere if image_mask is None else image_mask),
        ModalityPredictions(nothing, text, everywhere if text_mask is None else text_mask),
    )


def test_metrics_have_their_paths():
    """Image right on item 0 only, text on both; at weight 0 fusion is the text."""
    labels = np.array([0, 1])
    image, text = np.eye(2)[[0, 0]], np.eye(2)[[0, 1]]
    metrics = classification_metrics(predictions(image, text), labels, 0.0)
    assert metrics == pytest.approx(
        {
            "classification/fusion_weight": 0,
            "classification/image/accuracy": 0.5,
            "classification/image/macro_f1": 1 / 3,  # class 0: 2/3, class 1: 0
            "classification/text/accuracy": 1,
            "classification/text/macro_f1": 1,
            "classification/fused/accuracy": 1,
            "classification/fused/macro_f1": 1,
        }
    )


def test_each_availability_pattern_has_its_metrics():
    """Items: both (image right, text wrong; weight 1), image only (right), text only (wrong, right)."""
    labels, nan = np.array([0, 1, 1, 0]), [np.nan, np.nan]
    image = np.array([[0.9, 0.1], [0.2, 0.8], nan, nan])
    text = np.array([[0.1, 0.9], nan, [0.7, 0.3], [0.6, 0.4]])
    masks = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 1], bool)
    metrics = classification_metrics(predictions(image, text, *masks), labels, 1.0)
    assert {k: v for k, v in metrics.items() if not k.endswith("macro_f1")} == pytest.approx(
        {
            "classification/fusion_weight": 1,
            "classification/image/accuracy": 1,
            "classification/text/accuracy": 1 / 3,
            "classification/fused/accuracy": 3 / 4,
            "classification/fused/image_and_text/items": 1,
            "classification/fused/image_and_text/accuracy": 1,
            "classification/fused/image_only/items": 1,
            "classification/fused/image_only/accuracy": 1,
            "classification/fused/text_only/items": 2,
            "classification/fused/text_only/accuracy": 1 / 2,
        }
    )


def test_a_modality_that_no_item_has_has_no_metrics():
    image, text = np.full((2, 2), np.nan), np.eye(2)
    masks = np.zeros(2, bool), np.ones(2, bool)
    metrics = classification_metrics(predictions(image, text, *masks), np.array([0, 1]), 0.5)
    assert metrics["classification/fused/accuracy"] == 1
    assert metrics["classification/fused/text_only/items"] == 2
    assert not [path for path in metrics if "classification/image/" in path]


def test_label_sets_have_metrics_of_their_own():
    labels = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    metrics = classification_metrics(predictions(labels, labels), labels, 0.5)
    names = {path.rpartition("/")[2] for path in metrics if "/fused/" in path}
    assert names == {
        "hit_at_1",
        "hit_at_2",
        "subset_accuracy",
        "micro_f1",
        "macro_f1",
        "mean_average_precision",
    }
    assert all(v == 1 for path, v in metrics.items() if "/fused/" in path)
