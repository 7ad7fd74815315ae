import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.binary_cross_entropy import BinaryCrossEntropy, binary_cross_entropy


def slow_binary_cross_entropy(logits, labels, weights):
    """Minus the log-likelihood of each row's set of classes, question by question in float64."""
    total = 0.0
    for row, truth, weight in zip(np.asarray(logits, np.float64), labels, weights, strict=True):
        for z, yes in zip(row, truth, strict=True):
            p = 1 / (1 + np.exp(-z))
            total -= weight * np.log(p if yes else 1 - p)
    return total / sum(weights)


def tensors(*arrays):
    return [tf.constant(array, tf.float32) for array in arrays]


def test_sums_over_classes_by_hand():
    """Logits 0 and ln 3 of a row with the second class: ln 2 + ln 4/3. The other row: 2 ln 2."""
    value = binary_cross_entropy(*tensors([[0, np.log(3)], [0, 0]], [[0, 1], [1, 1]], [1, 3]))
    assert float(value) == pytest.approx((np.log(2) + np.log(4 / 3) + 3 * 2 * np.log(2)) / 4)


def test_equals_the_slow_sum(rng):
    logits, weights = rng.normal(size=(6, 5)), rng.uniform(0, 2, 6)
    labels = rng.integers(0, 2, (6, 5))
    weights[1] = 0
    value = binary_cross_entropy(*tensors(logits, labels, weights))
    expected = slow_binary_cross_entropy(logits, labels, weights)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert float(binary_cross_entropy(*tensors(logits, labels, np.zeros(6)))) == 0


def test_term_averages_over_what_is_there(rng):
    image, text = rng.normal(size=(2, 3, 4)).astype(np.float32)
    labels, weights = rng.integers(0, 2, (3, 4)), np.array([1.0, 2.0, 0.5])
    offsets = np.array([0.1, 0.2, -0.3, 1], np.float32)
    names = (keys.LABELS, keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)
    batch = dict(zip(names, tensors(labels, weights, [1, 1, 0], [0, 1, 1]), strict=True))
    outputs = {keys.IMAGE_LOGITS: tf.constant(image), keys.TEXT_LOGITS: tf.constant(text)}
    rows = [0, 1, 4, 5]
    expected = slow_binary_cross_entropy(
        (np.concatenate([image, text]) + offsets)[rows],
        np.concatenate([labels, labels])[rows],
        np.tile(weights, 2)[rows],
    )
    assert float(BinaryCrossEntropy(offsets)(outputs, batch)) == pytest.approx(expected, rel=1e-5)


def test_huge_logits_stay_finite():
    assert np.isfinite(binary_cross_entropy(*tensors([[1e30, -1e30]], [[0, 1]], [1])))
