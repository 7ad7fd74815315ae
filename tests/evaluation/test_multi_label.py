"""Metrics of label sets: hand-derived cases and slow implementations."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from huse_tf.evaluation.multi_label import (
    class_mean_average_precision,
    label_set_macro_f1,
    micro_f1,
    multi_label_metrics,
    subset_accuracy,
)

LABELS = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]], np.float32)
PROBABILITIES = np.array([[0.9, 0.1, 0.8, 0.2], [0.6, 0.7, 0.1, 0.0], [0.4, 0.0, 0.3, 0.5]])


def test_by_hand():
    """Predicted {0, 2}, {0, 1} and, as .5 is not above the threshold, {}: one set of three is right.

    Class 0: one hit, one too many, one missed, F1 1/2; classes 1 and 2: F1 1; class 3 never occurs.
    Micro: 3 hits of 4 predicted and 4 true, F1 6/8.
    Average precision: class 0 ranks items 0, 1, 2 (true, false, true): (1 + 2/3) / 2; others 1.
    """
    assert multi_label_metrics(PROBABILITIES, LABELS) == pytest.approx(
        {
            "subset_accuracy": 1 / 3,
            "micro_f1": 3 / 4,
            "macro_f1": (1 / 2 + 1 + 1) / 3,
            "mean_average_precision": (5 / 6 + 1 + 1) / 3,
        }
    )


def slow_average_precision(scores, truths):
    """Mean, over the true items, of the precision among all items that score no less."""
    precisions = []
    for score, truth in zip(scores, truths, strict=True):
        if truth:
            above = [t for s, t in zip(scores, truths, strict=True) if s >= score]
            precisions.append(sum(above) / len(above))
    return statistics.fmean(precisions)


@pytest.mark.parametrize("seed", range(4))
def test_equal_the_slow_implementations(seed):
    """Probabilities in tenths, so that there are ties; a class that never occurs."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((20, 6)) < 0.3).astype(np.float32)
    labels[:, 4] = 0
    probabilities = rng.integers(0, 11, (20, 6)) / 10
    predicted = probabilities > 0.5
    f1, precisions, hits, count = [], [], 0, 0
    for truth, guess, scores in zip(labels.T, predicted.T, probabilities.T, strict=True):
        both = sum(t and g for t, g in zip(truth, guess, strict=True))
        hits, count = hits + both, count + sum(truth) + sum(guess)
        if sum(truth) + sum(guess):
            f1.append(2 * both / (sum(truth) + sum(guess)))
        if sum(truth):
            precisions.append(slow_average_precision(scores.tolist(), truth.tolist()))
    right = sum(list(t > 0) == list(g) for t, g in zip(labels, predicted, strict=True))
    assert subset_accuracy(probabilities, labels) == pytest.approx(right / 20)
    assert micro_f1(probabilities, labels) == pytest.approx(2 * hits / count)
    assert label_set_macro_f1(probabilities, labels) == pytest.approx(statistics.fmean(f1))
    expected = pytest.approx(statistics.fmean(precisions))
    assert class_mean_average_precision(probabilities, labels) == expected


def test_one_item_is_enough_and_nothing_predicted_is_no_error():
    metrics = multi_label_metrics(np.array([[0.1, 0.2]]), np.array([[1.0, 0.0]]))
    assert metrics == pytest.approx(
        {"subset_accuracy": 0, "micro_f1": 0, "macro_f1": 0, "mean_average_precision": 1}
    )
