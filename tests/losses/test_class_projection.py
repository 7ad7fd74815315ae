import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.class_projection import ClassProjection, class_projection


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow(embeddings, vectors, labels, weights):
    total = 0.0
    for row, classes, weight in zip(embeddings, labels, weights, strict=True):
        distances = [1 - float(np.dot(row, vectors[k])) for k in np.flatnonzero(classes)]
        total += weight * sum(distances) / len(distances)
    return total / sum(weights)


def random_case(rng):
    labels = np.maximum(np.eye(4)[rng.integers(0, 4, 6)], rng.random((6, 4)) < 0.3)
    embeddings, vectors = unit(rng.normal(size=(6, 3))), unit(rng.normal(size=(4, 3)))
    return embeddings, vectors, labels, rng.choice([0.0, 1, 2.5], 6) + np.eye(6)[0]


def run(*case):
    return class_projection(*(tf.convert_to_tensor(each, tf.float32) for each in case))


def test_literal_distances():
    """At, across and opposite its class's vector: (0 + 1 + 2) / 3; between two classes: (0 + 1) / 2."""
    vectors = np.eye(2)
    embeddings = [[1, 0], [0, 1], [-1, 0]]
    assert float(run(embeddings, vectors, [[1, 0]] * 3, [1, 1, 1])) == pytest.approx(1.0)
    assert float(run([[1, 0]], vectors, [[1, 1]], [1])) == pytest.approx(0.5)
    assert float(run([[1, 0]], vectors, [[0, 1]], [0])) == 0


def test_equals_the_slow_sum(rng):
    for _ in range(5):
        case = random_case(rng)
        assert float(run(*case)) == pytest.approx(slow(*case), rel=1e-5)


def test_gradient_against_finite_differences(rng):
    embeddings, *rest = random_case(rng)
    tensor = tf.constant(embeddings, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        loss = run(tensor, *rest)
    gradient = tape.gradient(loss, tensor).numpy()
    for index in np.ndindex(*embeddings.shape):
        step = np.zeros_like(embeddings)
        step[index] = 1e-5
        difference = slow(embeddings + step, *rest) - slow(embeddings - step, *rest)
        assert gradient[index] == pytest.approx(difference / 2e-5, abs=1e-4)


def test_term_is_over_what_is_there():
    """Image a lies at its class and text a across it; b has a text only, opposite: (0 + 1 + 2) / 3."""
    term = ClassProjection(np.eye(2, dtype=np.float32))
    outputs = {
        keys.IMAGE_EMBEDDING: tf.constant([[1.0, 0], [1, 0]]),
        keys.TEXT_EMBEDDING: tf.constant([[0.0, 1], [0, -1]]),
    }
    batch = {
        keys.LABEL: tf.constant([0, 1]),
        keys.WEIGHT: tf.ones(2),
        keys.IMAGE_MASK: tf.constant([1.0, 0]),
        keys.TEXT_MASK: tf.ones(2),
    }
    assert float(term(outputs, batch)) == pytest.approx(1.0)
