import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.cross_modal_gap import CrossModalGap, cross_modal_gap


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_literal_distances():
    """Equal, orthogonal and opposite pairs: (0 + 1 + 2) / 3 = 1."""
    image = tf.constant([[1.0, 0], [1, 0], [1, 0]])
    text = tf.constant([[1.0, 0], [0, 1], [-1, 0]])
    assert float(cross_modal_gap(image, text, tf.ones(3))) == pytest.approx(1.0)


def test_only_true_pairs_count(rng):
    image, text = (unit(rng.normal(size=(6, 4))) for _ in range(2))
    expected = (
        sum(
            1 - sum(a * b for a, b in zip(i, t, strict=True))
            for i, t in zip(image, text, strict=True)
        )
        / 6
    )
    value = cross_modal_gap(
        tf.constant(image, tf.float32), tf.constant(text, tf.float32), tf.ones(6)
    )
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_gradient_is_minus_the_other_embedding(rng):
    """d/du mean(1 - u.v) = -v / n."""
    image, text = (tf.constant(unit(rng.normal(size=(3, 4))), tf.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = cross_modal_gap(image, text, tf.ones(3))
    np.testing.assert_allclose(tape.gradient(loss, image), -text / 3, atol=1e-7)


def test_a_step_raises_paired_cosine(rng):
    image, text = (tf.Variable(rng.normal(size=(4, 8)), dtype=tf.float32) for _ in range(2))

    def loss():
        return cross_modal_gap(
            tf.math.l2_normalize(image, 1), tf.math.l2_normalize(text, 1), tf.ones(4)
        )

    before = loss()
    with tf.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip((image, text), tape.gradient(value, (image, text)), strict=True):
        variable.assign_sub(0.5 * gradient)
    assert loss() < before


def test_only_complete_items_count_and_by_weight():
    """Distances 0, 1, 2, 1 by hand; the third has no text and the last no image: (3*0 + 1*1) / 4."""
    outputs = {
        keys.IMAGE_EMBEDDING: tf.constant([[1.0, 0], [1, 0], [1, 0], [1, 0]]),
        keys.TEXT_EMBEDDING: tf.constant([[1.0, 0], [0, 1], [-1, 0], [0, 1]]),
    }
    batch = {
        keys.IMAGE_MASK: tf.constant([1.0, 1, 1, 0]),
        keys.TEXT_MASK: tf.constant([1.0, 1, 0, 1]),
        keys.WEIGHT: tf.constant([3.0, 1, 5, 7]),
    }
    assert float(CrossModalGap()(outputs, batch)) == pytest.approx(0.25)
    nothing = {**batch, keys.TEXT_MASK: tf.zeros(4)}
    assert float(CrossModalGap()(outputs, nothing)) == 0
