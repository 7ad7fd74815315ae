"""Confusion counts, pairs and F1 by class, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.evaluation.confusion import Confusion, confusion_counts, f1_by_class, most_confused

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


def test_f1_by_class_by_hand():
    """F1 = 2 TP / (predicted + true): 2/(2+3), 2/(3+2), 2/(1+1), and 0 for the absent class 3."""
    f1 = f1_by_class(LABELS, {"fused": PREDICTED}, 4)
    assert f1["fused"] == pytest.approx([0.4, 0.4, 1.0, 0.0])
