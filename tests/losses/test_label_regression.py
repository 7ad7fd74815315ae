import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.label_regression import LabelRegression, label_regression

VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)


def value_of(projections, labels, weights):
    arrays = (projections, VECTORS, labels, weights)
    return float(label_regression(*(tf.constant(array, tf.float32) for array in arrays)))


def test_by_hand():
    """(1, 0) at its label: 0; (0, 0) from (0, 1): 1; (2, 0) from (1, 0): 1, for length counts."""
    projections, labels = [[1, 0], [0, 0], [2, 0]], np.eye(3)[[0, 1, 0]]
    assert value_of(projections, labels, [1, 1, 1]) == pytest.approx(2 / 3)
    assert value_of(projections, labels, [3, 1, 0]) == pytest.approx(1 / 4)
    assert value_of(projections, labels, [0, 0, 0]) == 0


def test_equals_loops_over_several_labels(rng):
    projections, weights = rng.normal(size=(8, 2)), rng.random(8)
    labels = np.maximum(np.eye(3)[np.arange(8) % 3], rng.random((8, 3)) < 0.4)
    total = 0.0
    for projection, row, weight in zip(projections, labels, weights, strict=True):
        distances = [
            sum((p - t) ** 2 for p, t in zip(projection, vector, strict=True))
            for vector, true in zip(VECTORS, row, strict=True)
            if true
        ]
        total += weight * sum(distances) / len(distances)
    expected = total / weights.sum()
    assert value_of(projections, labels, weights) == pytest.approx(expected, rel=1e-5)


def test_the_term_takes_both_modalities_by_their_masks():
    """Image (0, 0) of class 0: 1; text (3, 0): 4."""
    outputs = {
        keys.IMAGE_PROJECTION: tf.constant([[0.0, 0]]),
        keys.TEXT_PROJECTION: tf.constant([[3.0, 0]]),
    }
    batch = {keys.LABEL: tf.constant([0]), keys.WEIGHT: tf.ones(1)}
    for image, text, expected in ((1.0, 1.0, 2.5), (1.0, 0.0, 1), (0.0, 1.0, 4)):
        masks = {keys.IMAGE_MASK: tf.constant([image]), keys.TEXT_MASK: tf.constant([text])}
        value = LabelRegression(VECTORS)(outputs, {**batch, **masks})
        assert float(value) == pytest.approx(expected)


def test_gradient_leads_to_the_label():
    """d/dp |p - t|^2 = 2 (p - t)."""
    projection = tf.constant([[0.5, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch(projection)
        loss = label_regression(
            projection, tf.constant(VECTORS), tf.constant([[0.0, 1, 0]]), tf.ones(1)
        )
    np.testing.assert_allclose(tape.gradient(loss, projection), [[1, -1]], atol=1e-6)
