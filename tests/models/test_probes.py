"""Logistic regression against its own conditions: what a minimum must fulfil, by NumPy alone."""

import numpy as np
import pytest

from huse_tf.models.probes import linear_probe


@pytest.fixture
def blobs():
    """(rows [150, 6] off the origin and of a small scale, labels [150] of classes 0, 1 and 3 of 4)."""
    rng = np.random.default_rng(0)
    labels = np.array([0, 1, 3])[np.arange(150) % 3]
    centres = rng.normal(size=(4, 6))
    return 5 + 0.01 * (centres[labels] + rng.normal(size=(150, 6))), labels


def softmax(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_the_gradient_is_zero_at_the_probe(blobs):
    """d/dW of sum of weighted cross-entropies + |W|^2 / (2 C) is 0, on centred rows of mean square 1."""
    rows, labels = blobs
    weights = np.linspace(0.5, 2, 150)
    kernel, bias = linear_probe(rows, labels, weights, 4)
    mean = weights @ rows / weights.sum()
    scale = np.sqrt((weights @ (rows - mean) ** 2).sum() / weights.sum() / 6)
    errors = weights[:, None] * (softmax(rows @ kernel + bias) - np.eye(4)[labels])
    gradient = ((rows - mean) / scale).T @ errors + kernel * scale / 0.1
    assert np.abs(errors).max() > 0.05  # it is no perfect fit, whose gradient would vanish anyhow
    np.testing.assert_allclose(gradient, 0, atol=0.02)
    np.testing.assert_allclose(errors.sum(axis=0), 0, atol=0.02)


def test_a_class_without_rows_is_never_answered(blobs):
    rows, labels = blobs
    kernel, bias = linear_probe(rows, labels, np.ones(150), 4)
    logits = rows @ kernel + bias
    assert (logits[:, 2] < logits[:, [0, 1, 3]].min(axis=1) - 5).all()
    assert (logits.argmax(axis=1) == labels).mean() > 0.8


def test_weights_count_rows(blobs):
    rows, labels = blobs
    weights = np.ones(150)
    weights[:10], weights[10:20] = 2, 0
    chosen = np.r_[0:10, 0:10, 20:150]
    found = linear_probe(rows, labels, weights, 4)
    expected = linear_probe(rows[chosen], labels[chosen], np.ones(150), 4)
    logits = [rows @ kernel + bias for kernel, bias in (found, expected)]
    np.testing.assert_allclose(softmax(logits[0]), softmax(logits[1]), atol=1e-3)


@pytest.mark.parametrize("number", [1, 2])
def test_few_classes(blobs, number):
    """Of two, the logits differ by the log of the odds: their gradient is 0 as well."""
    rows, labels = blobs
    chosen = labels < number
    kernel, bias = linear_probe(rows[chosen], labels[chosen], np.ones(chosen.sum()), 4)
    probabilities = softmax(rows[chosen] @ kernel + bias)
    assert (probabilities.argmax(axis=1) == labels[chosen]).mean() > 0.8
    np.testing.assert_allclose(
        probabilities.mean(axis=0), np.eye(4)[labels[chosen]].mean(axis=0), atol=1e-3
    )


def test_several_labels_have_a_sigmoid_each(blobs):
    """Label 0 is of every row, label 1 of a third, label 2 of none."""
    rows, labels = blobs
    several = np.c_[np.ones(150), labels == 1, np.zeros(150)].astype(np.float32)
    kernel, bias = linear_probe(rows, several, np.ones(150), 3)
    probabilities = 1 / (1 + np.exp(-(rows @ kernel + bias)))
    np.testing.assert_allclose(probabilities.mean(axis=0), several.mean(axis=0), atol=1e-3)
    assert ((probabilities[:, 1] > 0.5) == (labels == 1)).mean() > 0.8


def test_no_rows_at_all():
    kernel, bias = linear_probe(np.ones((3, 2)), np.zeros(3, int), np.zeros(3), 2)
    assert not kernel.any() and np.isfinite(bias).all()
