"""Temperature, calibration error and threshold: hand-derived cases, slow references, and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from huse_tf.evaluation.calibration import (
    TEMPERATURES,
    best_scores,
    choose_temperature,
    negative_log_likelihood,
    precision_frontier,
    reliability,
    tempered,
    threshold_for,
)


def items(seed: int, classes: int = 5, count: int = 80, sure: float = 3.0):
    """(probabilities, labels) of a classifier that is `sure` times too sure of its logits."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, classes))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in chances])
    return np.exp(sure * logits) / np.exp(sure * logits).sum(axis=1, keepdims=True), labels


def label_sets(seed: int, classes: int = 4, count: int = 60, sure: float = 3.0):
    """(probabilities, multi-hot labels), each class on its own."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, classes))
    labels = rng.random((count, classes)) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-sure * logits)), labels.astype(np.float32)


def test_temperature_by_hand():
    """(.8, .2) at ½: .64 / (.64 + .04); at 2 the roots, 2 : 1. Each class alone: odds 4 become 16 and 2."""
    row = np.array([[0.8, 0.2]])
    np.testing.assert_allclose(tempered(row, 0.5), [[16 / 17, 1 / 17]])
    np.testing.assert_allclose(tempered(row, 2.0), [[2 / 3, 1 / 3]])
    np.testing.assert_allclose(tempered(row, 0.5, multi_label=True), [[16 / 17, 1 / 17]])
    np.testing.assert_allclose(
        tempered(np.array([[0.8, 0.8]]), 2.0, multi_label=True), [[2 / 3] * 2]
    )


def test_temperature_one_changes_nothing_and_none_changes_the_order():
    probabilities, _ = items(0)
    np.testing.assert_allclose(tempered(probabilities, 1.0), probabilities)
    for temperature in (0.1, 3.0):
        found = tempered(probabilities, temperature)
        np.testing.assert_array_equal(found.argsort(axis=1), probabilities.argsort(axis=1))
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_probabilities_that_underflowed_stay_finite():
    probabilities = np.float32([[1, 0], [0, 1]])
    for multi_label in (False, True):
        assert np.isfinite(tempered(probabilities, 0.05, multi_label)).all()
    wrong = np.array([1, 0])
    assert np.isfinite(negative_log_likelihood(probabilities, wrong, 0.05))
    assert np.isfinite(negative_log_likelihood(probabilities, np.eye(2)[wrong], 0.05))


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_is_that_of_scikit_learn(seed):
    probabilities, labels = items(seed)
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(
        log_loss(labels, probabilities)
    )
    at_two = tempered(probabilities, 2.0)
    assert negative_log_likelihood(probabilities, labels, 2.0) == pytest.approx(
        log_loss(labels, at_two)
    )


def test_likelihood_of_label_sets_by_hand():
    """Sets {0, 2} and {1}: .7 × (1 − .2) × .5 and (1 − .1) × .3 × (1 − .6)."""
    probabilities = np.array([[0.7, 0.2, 0.5], [0.1, 0.3, 0.6]])
    labels = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    expected = -(math.log(0.7 * 0.8 * 0.5) + math.log(0.9 * 0.3 * 0.4)) / 2
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(expected)


def slope(probabilities, labels, inverse):
    """The derivative of the likelihood by 1 / T: mean over items of log p of the truth minus its expectation."""
    total = 0.0
    for row, label in zip(probabilities, labels, strict=True):
        logs = [math.log(p) for p in row]
        odds = [math.exp(inverse * each) for each in logs]
        mean = sum(o * each for o, each in zip(odds, logs, strict=True)) / sum(odds)
        total += logs[label] - mean
    return total / len(labels)


@pytest.mark.parametrize("seed", range(4))
def test_the_temperature_is_where_the_slope_is_zero(seed):
    """Another way to it: the likelihood is concave in 1 / T, and Brent's method finds the root of its slope."""
    probabilities, labels = items(seed)
    expected = 1 / brentq(lambda inverse: slope(probabilities, labels, inverse), 0.01, 10)
    assert choose_temperature(probabilities, labels) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("sure", "made"), [(3.0, items), (0.5, items), (3.0, label_sets)])
def test_the_temperature_undoes_what_made_scores_too_sure(sure, made):
    probabilities, labels = made(7, count=4000, sure=sure)
    assert choose_temperature(probabilities, labels) == pytest.approx(sure, rel=0.1)


@pytest.mark.parametrize("made", [items, label_sets])
def test_no_temperature_of_a_grid_is_better(made):
    probabilities, labels = made(3)
    best = negative_log_likelihood(probabilities, labels, choose_temperature(probabilities, labels))
    for temperature in np.geomspace(*TEMPERATURES, 200):
        assert best <= negative_log_likelihood(probabilities, labels, temperature) + 1e-9


def test_items_that_are_all_right_do_not_make_scores_certain():
    """One more item (.6, .4) counts as wrong: of .9 and .6, odds 9 and 1.5, the root of the slope is the choice."""
    probabilities, labels = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1])
    more, truth = np.append(probabilities, [[0.4, 0.6]], axis=0), np.array([0, 1, 0])
    expected = 1 / brentq(lambda inverse: slope(more, truth, inverse), 0.01, 50)
    assert choose_temperature(probabilities, labels) == pytest.approx(expected, rel=1e-3)
    sets = choose_temperature(probabilities, np.eye(2)[labels])
    assert TEMPERATURES[0] * 2 < sets < TEMPERATURES[1] / 2


def test_without_an_item_or_a_choice_the_temperature_is_one():
    assert choose_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0
    assert choose_temperature(np.zeros((0, 3)), np.zeros((0, 3))) == 1.0
    assert choose_temperature(np.ones((4, 1)), np.zeros(4, int)) == 1.0


def test_calibration_error_by_hand():
    """Two bins of four: (.3, .4] is half right, gap .15; (.9, 1] is all right, gap .05: (2 × .15 + 2 × .05) / 4."""
    scores = np.array([0.35, 0.35, 0.95, 0.95])
    found = reliability(scores, np.array([True, False, True, True]), bins=10)
    assert found.error == pytest.approx(0.1)
    assert found.counts.tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 2]
    assert found.right[3] == 0.5 and np.isnan(found.right[0])


def test_a_score_on_an_edge_belongs_to_the_bin_below():
    """Guo et al.: bin m holds ((m − 1) / M, m / M]."""
    found = reliability(np.array([0.0, 0.5, 0.5 + 1e-9, 1.0]), np.ones(4, bool), bins=2)
    assert found.counts.tolist() == [2, 2]


def test_no_item_has_no_error():
    assert reliability(np.zeros(0), np.zeros(0, bool)).error == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_reliability_is_that_of_scikit_learn_and_of_a_slow_loop(seed):
    scores, right = best_scores(*items(seed, count=200))
    found = reliability(scores, right)
    share, score = calibration_curve(right, scores, n_bins=15, strategy="uniform")
    some = found.counts > 0
    np.testing.assert_allclose(found.right[some], share)
    np.testing.assert_allclose(found.scores[some], score)
    error = 0.0
    for m in range(15):
        members = [i for i, s in enumerate(scores) if m / 15 < s <= (m + 1) / 15]
        if members:
            gap = np.mean([right[i] for i in members]) - np.mean([scores[i] for i in members])
            error += len(members) / len(scores) * abs(gap)
    assert found.error == pytest.approx(error)


def test_calibration_lowers_the_error_of_items_that_it_did_not_see():
    validation, truth = items(1, count=2000)
    other, labels = items(2, count=2000)
    temperature = choose_temperature(validation, truth)
    before, after = (
        reliability(*best_scores(other, labels, each)).error for each in (1.0, temperature)
    )
    assert before > 0.2 and after < 0.05


def test_a_set_is_right_if_its_best_class_is_one_of_the_item():
    labels = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    scores, right = best_scores(np.array([[0.7, 0.2, 0.5], [0.1, 0.3, 0.6]]), labels)
    np.testing.assert_allclose(scores, [0.7, 0.6])
    assert right.tolist() == [True, False]


def slow_threshold(scores, right, target):
    for threshold in sorted(set(scores)):
        accepted = [r for s, r in zip(scores, right, strict=True) if s >= threshold]
        if sum(accepted) / len(accepted) >= target:
            return threshold
    return None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_threshold_against_a_slow_search(seed, target):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 40) / 12  # with ties
    right = rng.random(40) < scores * 0.9
    frontier = precision_frontier(scores, right)
    assert threshold_for(frontier, target) == slow_threshold(scores, right, target)
    for threshold, precision, coverage in frontier:
        accepted = scores >= threshold
        assert precision == pytest.approx(right[accepted].mean())
        assert coverage == pytest.approx(accepted.mean())


def test_items_of_equal_score_are_accepted_together():
    """The right one of the two .9 cannot be had alone: 1 of 2, and 2 of 3 with .4."""
    frontier = precision_frontier(np.array([0.9, 0.9, 0.4]), np.array([True, False, True]))
    assert frontier == [(0.4, pytest.approx(2 / 3), 1.0)]
    assert threshold_for(frontier, 0.7) is None


def test_a_precision_out_of_reach_has_no_threshold():
    assert threshold_for(precision_frontier(np.array([0.9, 0.8]), np.zeros(2, bool)), 0.1) is None
    assert precision_frontier(np.zeros(0), np.zeros(0, bool)) == []
    assert threshold_for([], 0.5) is None


def test_a_threshold_accepts_twenty_products_or_more():
    """Of 25 products with two items each the best 20 are all right; item by item there would be higher ones."""
    products = np.repeat(np.arange(25), 2)
    scores = np.stack([np.arange(25) + 1.0, np.zeros(25)], axis=1).ravel() / 30
    right = (scores > 0) & (products >= 5)
    assert precision_frontier(scores, right)[-1] == (6 / 30, 1.0, 0.4)
    assert precision_frontier(scores, right, products)[-1] == (6 / 30, 1.0, 0.4)
    wrong = right & (products != 6)
    assert precision_frontier(scores, wrong)[-1] == (8 / 30, 1.0, 0.36)
    assert precision_frontier(scores, wrong, products)[-1] == (6 / 30, 0.95, 0.4)
    few = products >= 6
    assert precision_frontier(scores[few], right[few], products[few]) == []


def test_nineteen_of_twenty_is_95_percent():
    scores, right = np.linspace(0.5, 0.9, 20), np.arange(20) > 0
    assert threshold_for(precision_frontier(scores, right), 0.95) == 0.5
