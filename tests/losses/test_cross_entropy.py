import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.cross_entropy import CrossEntropy, cross_entropy


def slow_cross_entropy(logits, labels, weights=None):
    """Eq. (7) and (8) of the HUSE paper, term by term in float64; rows count by weight."""
    total, weights = 0.0, [1.0] * len(labels) if weights is None else weights
    for row, label, weight in zip(np.asarray(logits, np.float64), labels, weights, strict=True):
        total -= weight * np.log(np.exp(row[label]) / sum(np.exp(value) for value in row))
    return total / sum(weights)


def run(logits, labels, weights=None):
    weights = np.ones(len(labels)) if weights is None else weights
    return float(
        cross_entropy(
            tf.constant(logits, tf.float32),
            tf.constant(labels, tf.int32),
            tf.constant(weights, tf.float32),
        )
    )


def make_batch(labels, **changes):
    count = len(labels)
    batch = {
        keys.LABEL: np.array(labels, np.int32),
        keys.WEIGHT: np.ones(count),
        keys.IMAGE_MASK: np.ones(count),
        keys.TEXT_MASK: np.ones(count),
        **changes,
    }
    return {k: tf.constant(v, None if k == keys.LABEL else tf.float32) for k, v in batch.items()}


def test_two_equal_logits_cost_log_two():
    """p = e^a / (e^a + e^a) = 1/2, so the loss is ln 2."""
    assert run([[3.0, 3.0]], [1]) == pytest.approx(np.log(2))


def test_weights_by_hand():
    """Logits (0, 0) cost ln 2, logits (ln 3, 0) cost ln 4/3 for class 0: (3 ln 2 + ln 4/3) / 4."""
    value = run([[0, 0], [np.log(3), 0]], [1, 0], [3, 1])
    assert value == pytest.approx((3 * np.log(2) + np.log(4 / 3)) / 4)


def test_equals_the_slow_sum(rng):
    logits, labels = rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    assert run(logits, labels) == pytest.approx(slow_cross_entropy(logits, labels), rel=1e-5)
    weights = rng.uniform(0, 3, 7)
    weights[2] = 0
    expected = slow_cross_entropy(logits, labels, weights)
    assert run(logits, labels, weights) == pytest.approx(expected, rel=1e-5)


def test_nothing_that_counts_costs_nothing():
    assert run([[1.0, 2.0]], [0], [0.0]) == 0


def test_term_averages_over_both_modalities(rng):
    image, text = rng.normal(size=(2, 4, 3)).astype(np.float32)
    labels = [0, 2, 1, 1]
    outputs = {keys.IMAGE_LOGITS: tf.constant(image), keys.TEXT_LOGITS: tf.constant(text)}
    value = CrossEntropy()(outputs, make_batch(labels))
    expected = (slow_cross_entropy(image, labels) + slow_cross_entropy(text, labels)) / 2
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_term_averages_over_what_is_there(rng):
    """Three images and two texts of four items, by the weights of their items."""
    image, text = rng.normal(size=(2, 4, 3)).astype(np.float32)
    labels, weights = np.array([0, 2, 1, 1]), np.array([1.0, 2.0, 0.5, 4.0])
    image_mask, text_mask = np.array([1, 1, 0, 1]), np.array([0, 1, 1, 0])
    outputs = {keys.IMAGE_LOGITS: tf.constant(image), keys.TEXT_LOGITS: tf.constant(text)}
    masks = {keys.IMAGE_MASK: image_mask, keys.TEXT_MASK: text_mask, keys.WEIGHT: weights}
    value = CrossEntropy()(outputs, make_batch(labels, **masks))
    rows = [(image, i) for i in (0, 1, 3)] + [(text, i) for i in (1, 2)]
    expected = slow_cross_entropy(
        [logits[i] for logits, i in rows],
        [labels[i] for _, i in rows],
        [weights[i] for _, i in rows],
    )
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_offsets_are_added_to_the_logits_of_both_modalities(rng):
    image, text = rng.normal(size=(2, 4, 3)).astype(np.float32)
    offsets, labels = np.array([0.5, -1, 2], np.float32), [0, 2, 1, 1]
    outputs = {keys.IMAGE_LOGITS: tf.constant(image), keys.TEXT_LOGITS: tf.constant(text)}
    value = CrossEntropy(offsets)(outputs, make_batch(labels))
    expected = slow_cross_entropy(np.concatenate([image, text]) + offsets, labels * 2)
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_huge_logits_stay_finite():
    assert np.isfinite(run([[1e30, -1e30]], [0]))


def test_gradient_is_softmax_minus_one_hot(rng):
    """d loss / d z = w (softmax(z) - onehot(y)) / sum of w, from the definition."""
    logits = tf.constant(rng.normal(size=(3, 4)).astype(np.float32))
    labels, weights = np.array([3, 0, 0]), np.array([1, 0, 2], np.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = cross_entropy(logits, tf.constant(labels, tf.int32), tf.constant(weights))
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = tape.gradient(loss, logits).numpy()
    expected = weights[:, None] * (softmax - np.eye(4)[labels]) / 3
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    assert not gradient[1].any()
