"""The hinge rank loss of DeViSE: by hand, against loops, and what the usual mistakes would break."""

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.hinge_rank import HingeRank, hinge_rank

ALL = np.ones(4, np.float32)


def slow_hinge_rank(scores, labels, negatives, weights, margin, order=None):
    total = 0.0
    for row, weight in enumerate(weights):
        true = [c for c in range(len(negatives)) if labels[row][c]]
        false = [c for c in range(len(negatives)) if not labels[row][c] and negatives[c]]
        if order is not None:
            false.sort(key=lambda c, row=row: order[row][c])
        mean = 0.0
        for y in true:
            for j in false:
                hinge = max(0.0, margin - scores[row][y] + scores[row][j])
                mean += hinge / len(true)
                if order is not None and hinge > 0:
                    break
        total += weight * mean
    return total / sum(weights)


def tensors(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


def test_the_sum_by_hand():
    """Scores .5 (true), .45, .3, .7 at margin .1: hinges .05, 0 and .3; with scores .5, .4 exactly 0."""
    scores = [[0.5, 0.45, 0.3, 0.7], [0.5, 0.4, 0.0, 0.0]]
    one_hot = np.eye(4)[[0, 0]]
    value = hinge_rank(*tensors(scores, one_hot, ALL, [1, 1]), 0.1)
    assert float(value) == pytest.approx(0.35 / 2, abs=1e-6)
    value = hinge_rank(*tensors(scores, one_hot, ALL, [3, 1]), 0.1)
    assert float(value) == pytest.approx(0.35 * 3 / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        # Class 2 comes first and violates nothing; 1 is the first violation, 3 is not reached.
        ([0.0, 0.5, 0.1, 0.9], 0.05),
        ([0.0, 0.5, 0.1, 0.2], 0.3),
    ],
)
def test_the_first_violation_by_hand(order, expected):
    """As above: hinges .05, 0 and .3 of classes 1, 2 and 3. The true class, first of all, is none."""
    value = hinge_rank(
        *tensors([[0.5, 0.45, 0.3, 0.7]], [[1, 0, 0, 0]], ALL, [1]), 0.1, tf.constant([order])
    )
    assert float(value) == pytest.approx(expected, abs=1e-6)


def test_several_true_labels_by_hand():
    """True .5 and .2, false .45 and .1 at margin .1: (.05 + 0) and (.35 + 0), mean .2."""
    value = hinge_rank(*tensors([[0.5, 0.45, 0.2, 0.1]], [[1, 0, 1, 0]], ALL, [1]), 0.1)
    assert float(value) == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("several", [False, True])
def test_equals_loops(rng, ordered, several):
    scores, order = rng.normal(0, 0.2, (9, 6)), rng.random((9, 6))
    labels = np.eye(6)[rng.integers(0, 6, 9)]
    if several:
        labels = np.maximum(labels, rng.random((9, 6)) < 0.3)
    negatives, weights = np.array([1, 1, 0, 1, 0, 1]), np.array([1, 2, 0, 0.5, 1, 1, 3, 1, 1])
    order = order if ordered else None
    expected = slow_hinge_rank(scores, labels, negatives, weights, 0.1, order)
    given = None if order is None else tf.constant(order, tf.float32)
    value = hinge_rank(*tensors(scores, labels, negatives, weights), 0.1, given)
    assert expected > 0
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ordered", [False, True])
def test_gradient_is_that_of_finite_differences(rng, ordered):
    scores, labels = rng.normal(0, 0.3, (4, 5)), np.eye(5)[[0, 1, 2, 2]]
    order = rng.random((4, 5)) if ordered else None
    weights, negatives = np.array([1.0, 2, 1, 0]), np.ones(5)
    variable = tf.constant(scores, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        given = None if order is None else tf.constant(order, tf.float32)
        loss = hinge_rank(variable, *tensors(labels, negatives, weights), 0.1, given)
    gradient = tape.gradient(loss, variable).numpy()
    for place in np.ndindex(scores.shape):
        moved = np.zeros_like(scores)
        moved[place] = 1e-5
        low, high = (
            slow_hinge_rank(scores + sign * moved, labels, negatives, weights, 0.1, order)
            for sign in (-1, 1)
        )
        assert gradient[place] == pytest.approx((high - low) / 2e-5, abs=1e-4)
    assert not gradient[3].any()


def test_the_term_scores_projections_that_are_not_normalised():
    """A projection twice as long has twice the margin between its scores.

    Label vectors (1, 0) and (0, 1); image (.2, .15) of class 0: max(0, .1 - .2 + .15) = .05, text
    (.4, .3): max(0, .1 - .4 + .3) = 0. Their mean is .025.
    """
    term = HingeRank(np.eye(2, dtype=np.float32), np.ones(2, np.float32), 0.1, False)
    outputs = {
        keys.IMAGE_PROJECTION: tf.constant([[0.2, 0.15]]),
        keys.TEXT_PROJECTION: tf.constant([[0.4, 0.3]]),
    }
    batch = {
        keys.LABEL: tf.constant([0]),
        keys.WEIGHT: tf.ones(1),
        keys.IMAGE_MASK: tf.ones(1),
        keys.TEXT_MASK: tf.ones(1),
    }
    assert float(term(outputs, batch)) == pytest.approx(0.025, abs=1e-6)
    assert float(term(outputs, {**batch, keys.TEXT_MASK: tf.zeros(1)})) == pytest.approx(0.05)
    nothing = {**batch, keys.TEXT_MASK: tf.zeros(1), keys.IMAGE_MASK: tf.zeros(1)}
    assert float(term(outputs, nothing)) == 0
    several = {**batch, keys.LABELS: tf.constant([[1.0, 0]])}
    del several[keys.LABEL]
    assert float(term(outputs, several)) == pytest.approx(0.025, abs=1e-6)
