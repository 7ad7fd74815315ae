"""Logistic regression against scikit-learn's, and by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from huse_tf.models.logistic_regression import NEVER, logistic_regression

STEPS = 1000


def data(seed=0, count=90, classes=4):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    rows = rng.normal(size=(classes, 6))[labels] + 1.5 * rng.normal(size=(count, 6))
    return rows, labels, rng.integers(1, 4, count).astype(float)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("c", [0.1, 1.0, 30.0])
def test_it_finds_the_minimum_of_scikit_learn(classes, c):
    rows, labels, weights = data(classes=classes)
    kernel, bias = logistic_regression(rows, labels, weights, classes + 1, c, STEPS)
    expected = LogisticRegression(C=c, max_iter=STEPS, tol=1e-8).fit(rows, labels, weights)
    found = softmax(rows @ kernel[:, :classes] + bias[:classes], axis=1)
    np.testing.assert_allclose(found, expected.predict_proba(rows), atol=1e-3)
    assert (kernel[:, classes] == 0).all() and bias[classes] == NEVER


def test_another_start_leads_to_the_same_minimum():
    rows, labels, weights = data()
    start = logistic_regression(rows, labels, weights, 4, 1.0, STEPS)
    cold = logistic_regression(rows, labels, weights, 4, 3.0, STEPS)
    warm = logistic_regression(rows, labels, weights, 4, 3.0, STEPS, start)
    assert np.abs(start[0] - cold[0]).max() > 0.1
    found, expected = (softmax(rows @ kernel + bias, axis=1) for kernel, bias in (warm, cold))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_penalty_by_hand():
    """One row a class at x = ±1, C = 1: the logit w of class 1 minimises 2 log(1 + exp(-w)) + w² / 2."""
    w = 0.0
    for _ in range(50):  # Newton's method on 2 / (1 + exp(w)) = w
        p = 1 / (1 + np.exp(w))
        w -= (w - 2 * p) / (1 + 2 * p * (1 - p))
    rows, labels = np.array([[-1.0], [1.0]]), np.array([0, 1])
    kernel, bias = logistic_regression(rows, labels, np.ones(2), 2, 1.0, STEPS)
    assert kernel[0, 1] - kernel[0, 0] == pytest.approx(w, abs=1e-4)
    assert bias[1] - bias[0] == pytest.approx(0, abs=1e-5)


def test_classes_that_all_or_no_rows_have():
    rows = np.eye(3)
    several = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0]], float)
    kernel, bias = logistic_regression(rows, several, np.ones(3), 3, 10.0, STEPS)
    assert bias[0] == -NEVER and bias[1] == NEVER and (kernel[:, :2] == 0).all()
    assert (rows @ kernel + bias)[:, 2].argmax() == 0


def test_no_rows_and_one_class():
    kernel, bias = logistic_regression(
        np.zeros((0, 2)), np.zeros(0, int), np.zeros(0), 2, 1.0, STEPS
    )
    assert (kernel == 0).all() and (bias == NEVER).all()
    _, bias = logistic_regression(np.eye(2), np.array([1, 1]), np.ones(2), 3, 1.0, STEPS)
    assert bias.tolist() == [NEVER, 0.0, NEVER]
