import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.cross_entropy import CrossEntropy, cross_entropy


def slow_cross_entropy(logits, labels):
    """Eq. (7) and (8) of the HUSE paper, term by term in float64."""
    total = 0.0
    for row, label in zip(np.asarray(logits, np.float64), labels, strict=True):
        total -= np.log(np.exp(row[label]) / sum(np.exp(value) for value in row))
    return total / len(labels)


def test_two_equal_logits_cost_log_two():
    """p = e^a / (e^a + e^a) = 1/2, so the loss is ln 2."""
    assert float(cross_entropy(tf.constant([[3.0, 3.0]]), tf.constant([1]))) == pytest.approx(
        np.log(2)
    )


def test_equals_the_slow_sum(rng):
    logits = rng.normal(size=(7, 5)).astype(np.float32)
    labels = rng.integers(0, 5, 7)
    value = cross_entropy(tf.constant(logits), tf.constant(labels, tf.int32))
    assert float(value) == pytest.approx(slow_cross_entropy(logits, labels), rel=1e-5)


def test_term_averages_over_both_modalities(rng):
    image, text = rng.normal(size=(2, 4, 3)).astype(np.float32)
    labels = np.array([0, 2, 1, 1])
    outputs = {keys.IMAGE_LOGITS: tf.constant(image), keys.TEXT_LOGITS: tf.constant(text)}
    value = CrossEntropy()(outputs, {keys.LABEL: tf.constant(labels, tf.int32)})
    expected = (slow_cross_entropy(image, labels) + slow_cross_entropy(text, labels)) / 2
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_huge_logits_stay_finite():
    assert np.isfinite(cross_entropy(tf.constant([[1e30, -1e30]]), tf.constant([0])))


def test_gradient_is_softmax_minus_one_hot(rng):
    """d loss / d z = (softmax(z) - onehot(y)) / n, from the definition."""
    logits = tf.constant(rng.normal(size=(3, 4)).astype(np.float32))
    labels = np.array([3, 0, 0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = cross_entropy(logits, tf.constant(labels, tf.int32))
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(
        tape.gradient(loss, logits), (softmax - np.eye(4)[labels]) / 3, atol=1e-6
    )
