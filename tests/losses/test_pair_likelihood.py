import math

import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.pair_likelihood import PairLikelihood, pair_likelihood


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def outputs_of(image, text):
    return {
        keys.IMAGE_EMBEDDING: tf.constant(image, tf.float32),
        keys.TEXT_EMBEDDING: tf.constant(text, tf.float32),
    }


def batch_of(labels, image_mask=None, text_mask=None, weights=None):
    ones = np.ones(len(labels))
    name = keys.LABEL if np.ndim(labels) == 1 else keys.LABELS
    return {
        name: tf.constant(labels, tf.int32 if name == keys.LABEL else tf.float32),
        keys.IMAGE_MASK: tf.constant(ones if image_mask is None else image_mask, tf.float32),
        keys.TEXT_MASK: tf.constant(ones if text_mask is None else text_mask, tf.float32),
        keys.WEIGHT: tf.constant(ones if weights is None else weights, tf.float32),
    }


def slow_mean(rows, columns, row_labels, column_labels, row_weights, column_weights):
    """One of the three sums of eq. (2), pair by pair in float64."""
    total, count = 0.0, 0.0
    for u, i, w in zip(rows, row_labels, row_weights, strict=True):
        for v, j, x in zip(columns, column_labels, column_weights, strict=True):
            theta = float(np.dot(u, v)) / 2
            total += w * x * (math.log(1 + math.exp(theta)) - (i == j) * theta)
            count += w * x
    return total / count


@pytest.mark.parametrize(
    ("cosine", "same", "expected"),
    [
        (0.0, 1, math.log(2)),
        (0.0, 0, math.log(2)),
        # -log sigmoid(1/2) and -log sigmoid(-1/2): alike is right for a pair of one class.
        (1.0, 1, math.log(1 + math.exp(-0.5))),
        (1.0, 0, math.log(1 + math.exp(0.5))),
        (-1.0, 1, math.log(1 + math.exp(0.5))),
    ],
)
def test_literal_pairs(cosine, same, expected):
    value = pair_likelihood(*(tf.constant([[float(v)]]) for v in (cosine, same, 1)))
    assert float(value) == pytest.approx(expected, rel=1e-6)


def test_at_cosine_zero_the_term_is_three_log_two():
    """Zero vectors, whose cosines are 0 for every pair: log 2 for each of the three sums."""
    zeros = np.zeros((4, 3))
    value = PairLikelihood()(outputs_of(zeros, zeros), batch_of([0, 1, 1, 2]))
    assert float(value) == pytest.approx(3 * math.log(2), rel=1e-6)


def test_equals_the_slow_sums_over_the_rows_that_are_there(rng):
    image, text = unit(rng.normal(size=(6, 4))), unit(rng.normal(size=(6, 4)))
    labels, weights = rng.integers(0, 3, 6), rng.uniform(0.5, 2, 6)
    image_mask, text_mask = np.array([1, 0, 1, 1, 1, 1]), np.array([1, 1, 0, 1, 0, 1])
    a = image[image_mask > 0], labels[image_mask > 0], weights[image_mask > 0]
    b = text[text_mask > 0], labels[text_mask > 0], weights[text_mask > 0]
    expected = sum(slow_mean(x, y, i, j, w, v) for (x, i, w), (y, j, v) in ((a, b), (a, a), (b, b)))
    batch = batch_of(labels, image_mask, text_mask, weights)
    assert float(PairLikelihood()(outputs_of(image, text), batch)) == pytest.approx(
        expected, rel=1e-5
    )


def test_one_class_in_common_is_enough(rng):
    """Sets {0, 1}, {1, 2}, {3}: the first two are a pair of one class, as labels 0, 0, 1 are."""
    image, text = unit(rng.normal(size=(3, 4))), unit(rng.normal(size=(3, 4)))
    outputs = outputs_of(image, text)
    sets = PairLikelihood()(outputs, batch_of([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]))
    assert float(sets) == pytest.approx(float(PairLikelihood()(outputs, batch_of([0, 0, 1]))))


def test_gradient_against_finite_differences(rng):
    image, text = rng.normal(size=(2, 3, 2))
    labels, ones, step = [0, 1, 0], np.ones(3), 1e-6
    tensor = tf.constant(image, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = PairLikelihood()(
            {**outputs_of(image, text), "image_embedding": tensor}, batch_of(labels)
        )
    gradient = tape.gradient(value, tensor).numpy()

    def slow(rows):
        pairs = ((rows, text), (rows, rows), (text, text))
        return sum(slow_mean(x, y, labels, labels, ones, ones) for x, y in pairs)

    for index in np.ndindex(*image.shape):
        change = np.zeros_like(image)
        change[index] = step
        difference = (slow(image + change) - slow(image - change)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, abs=1e-4)
