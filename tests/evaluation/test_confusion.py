"""Confusion counts, pairs and F1 by class, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.evaluation.confusion import (
    Confusion,
    confusion_counts,
    f1_by_class,
    most_confused,
    one_true_class,
)

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 2])
COUNTS = np.array([[1, 2, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])


def test_counts_have_true_classes_as_rows():
    np.testing.assert_array_equal(confusion_counts(LABELS, PREDICTED, 4), COUNTS)


def test_counts_of_narrow_integers_do_not_overflow():
    """Class ids of 8 bits: 100 × 101 + 100 is more than they hold."""
    counts = confusion_counts(np.array([100], np.int8), np.array([100], np.int8), 101)
    assert counts[100, 100] == 1


def test_most_confused_pairs_come_first_and_right_ones_never():
    assert most_confused(COUNTS, limit=10) == [Confusion(0, 1, 2, 3), Confusion(1, 0, 1, 2)]
    assert most_confused(COUNTS, limit=1) == [Confusion(0, 1, 2, 3)]
    assert most_confused(np.eye(3, dtype=int), limit=5) == []


def test_of_pairs_confused_as_often_the_first_classes_come_first():
    """All 20 × 19 pairs alike, more than a sort that is not stable leaves in place."""
    found = most_confused(np.ones((20, 20), int), limit=45)
    places = [(t, p) for t in range(20) for p in range(20) if t != p]
    assert [(each.true, each.predicted) for each in found] == places[:45]


def test_f1_by_class_by_hand():
    """F1 = 2 TP / (predicted + true): 2/(2+3), 2/(3+2), 2/(1+1), and 0 for the absent class 3."""
    f1 = f1_by_class(LABELS, {"fused": np.eye(4)[PREDICTED]})
    assert f1["fused"] == pytest.approx([0.4, 0.4, 1.0, 0.0])


def test_f1_is_of_the_items_that_have_the_modality():
    """Without the last three items: 2/(1+3), 2/(2+0) of no true item is 0, nothing of the rest."""
    probabilities = np.eye(4)[PREDICTED]
    probabilities[3:] = np.nan
    f1 = f1_by_class(LABELS, {"image": probabilities, "text": np.full((6, 4), np.nan)})
    assert f1["image"] == pytest.approx([0.5, 0.0, 0.0, 0.0])
    assert np.isnan(f1["text"]).all()


def test_f1_of_items_with_several_classes_by_hand():
    """Class 0: predicted for both, true of the first: 2/(2+1). 1: missed: 0. 2: right: 2/(1+1)."""
    labels = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    probabilities = np.array([[0.9, 0.5, 0.1], [0.6, 0.2, 0.7]])
    assert f1_by_class(labels, {"fused": probabilities})["fused"] == pytest.approx([2 / 3, 0, 1])


def test_an_item_of_several_classes_is_one_true_class_the_predicted_one_if_that_is_right():
    labels = np.array([[0, 1, 1], [0, 1, 1], [1, 0, 0]])
    assert one_true_class(labels, np.array([2, 0, 1])).tolist() == [2, 1, 0]
    assert one_true_class(LABELS, PREDICTED) is LABELS
