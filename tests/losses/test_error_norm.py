import numpy as np
import pytest
import tensorflow as tf

from huse_tf.losses.error_norm import error_norm

# Lengths 5 and 13.
ERRORS = [[3.0, 4.0], [5.0, 12.0]]


@pytest.mark.parametrize(
    ("normalization", "weights", "expected"),
    [
        ("code", [1, 1], (5 + 13) / 2),
        ("paper", [1, 1], np.sqrt(25 + 169) / 2),
        # The first row three times.
        ("code", [3, 1], (3 * 5 + 13) / 4),
        ("paper", [3, 1], np.sqrt(3 * 25 + 169) / 4),
        ("code", [0, 0], 0.0),
        ("paper", [0, 0], 0.0),
    ],
)
def test_literal_norms(normalization, weights, expected):
    value = error_norm(tf.constant(ERRORS), tf.constant(weights, tf.float32), normalization)
    assert float(value) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-4, 0.05, 100.0])
def test_norms_of_small_and_large_errors(scale):
    """Twice the error is twice the norm, also of rows shorter than 1."""
    errors = scale * tf.constant(ERRORS)
    assert float(error_norm(errors, tf.ones(2))) == pytest.approx(scale * 9, rel=1e-5)
    whole = float(error_norm(errors, tf.ones(2), "paper"))
    assert whole == pytest.approx(scale * np.sqrt(194) / 2, rel=1e-5)


@pytest.mark.parametrize("normalization", ["code", "paper"])
def test_gradient_by_hand(normalization):
    """Of a length it is the unit vector: over n of each row (code), of the whole over n (paper)."""
    errors = tf.constant(ERRORS)
    with tf.GradientTape() as tape:
        tape.watch(errors)
        value = error_norm(errors, tf.ones(2), normalization)
    lengths = np.array([[5], [13]]) if normalization == "code" else np.sqrt(194)
    np.testing.assert_allclose(tape.gradient(value, errors), ERRORS / lengths / 2, rtol=1e-6)


@pytest.mark.parametrize("normalization", ["code", "paper"])
def test_no_error_has_gradient_zero(normalization):
    """The square root's own gradient is infinite there."""
    errors = tf.zeros((3, 2))
    with tf.GradientTape() as tape:
        tape.watch(errors)
        value = error_norm(errors, tf.ones(3), normalization)
    assert float(value) == 0
    np.testing.assert_array_equal(tape.gradient(value, errors), np.zeros((3, 2)))
