import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.losses.canonical_correlation import CanonicalCorrelation, canonical_correlation


def inverse_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**-0.5) @ vectors.T


def slow_loss(x, y, ridge, weights=None):
    """D - |(S_x + r I)^-1/2 S_xy (S_y + r I)^-1/2|_tr as the paper writes it, in float64."""
    count = np.ones(len(x)) if weights is None else weights
    x, y = (rows - np.average(rows, axis=0, weights=count) for rows in (x, y))
    covariances = [[a.T @ np.diag(count / count.sum()) @ b for b in (x, y)] for a in (x, y)]
    roots = [
        inverse_root(s + ridge * np.trace(s) / len(s) * np.eye(len(s)))
        for s in (covariances[0][0], covariances[1][1])
    ]
    values = np.linalg.svd(roots[0] @ covariances[0][1] @ roots[1], compute_uv=False)
    return x.shape[1] - values.sum()


def run(x, y, ridge, weights=None):
    weights = np.ones(len(x)) if weights is None else weights
    return float(
        canonical_correlation(*(tf.constant(a, tf.float32) for a in (x, y, weights)), ridge)
    )


def test_a_linear_map_of_itself_correlates_fully(rng):
    """Whatever the map and the shift: all D correlations are 1, but for the ridge."""
    x = rng.normal(size=(40, 3))
    assert run(x, x @ rng.normal(size=(3, 3)) + 5, 1e-6) == pytest.approx(0.0, abs=1e-3)


def test_uncorrelated_views_by_hand():
    """Four corners of a square: x and y of the same corners have S_xy = 0, so D = 1 is the loss."""
    x, y = np.array([[1.0], [1], [-1], [-1]]), np.array([[1.0], [-1], [1], [-1]])
    assert run(x, y, 1e-6) == pytest.approx(1.0, abs=1e-5)


def test_one_dimension_is_pearson_s_correlation_whatever_its_sign():
    """x = 0, 1, 2 and y = 0, -2, -1: S_xy = -1/3, variances 2/3: |r| = 1/2."""
    x, y = np.array([[0.0], [1], [2]]), np.array([[0.0], [-2], [-1]])
    assert run(x, y, 1e-7) == pytest.approx(1 - 0.5, abs=1e-5)
    # A ridge of 1 doubles the variances.
    assert run(x, y, 1.0) == pytest.approx(1 - 0.25, abs=1e-5)


def test_equals_the_paper_s_formula(rng):
    for ridge in (1e-3, 0.1, 1.0):
        x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 4)) ** 3 + 1
        assert run(x, y, ridge) == pytest.approx(slow_loss(x, y, ridge), rel=1e-4)
        weights = rng.integers(0, 3, 20).astype(float)
        rows = np.repeat(np.arange(20), weights.astype(int))
        expected = slow_loss(x[rows], y[rows], ridge)
        assert run(x, y, ridge, weights) == pytest.approx(expected, rel=1e-4)


def test_gradient_against_finite_differences(rng):
    """At the corners of a square as well: equal correlations, where that of an SVD is infinite."""
    noise, corners = rng.normal(size=(8, 2)), np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    for x, y in ((noise, rng.normal(size=(8, 2))), (noise, noise), (corners, corners)):
        tensor = tf.constant(x, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = canonical_correlation(tensor, tf.constant(y, tf.float32), tf.ones(len(x)), 0.1)
        gradient = tape.gradient(value, tensor).numpy()
        assert np.isfinite(gradient).all()
        for index in np.ndindex(*x.shape):
            change = np.zeros_like(x)
            change[index] = 1e-5
            difference = (slow_loss(x + change, y, 0.1) - slow_loss(x - change, y, 0.1)) / 2e-5
            assert gradient[index] == pytest.approx(difference, abs=2e-4)


def test_no_gradient_passes_through_the_decomposition(rng, monkeypatch):
    """Where two correlations are equal that of singular vectors is infinite: here, it is everywhere."""
    plain = tf.linalg.svd

    @tf.custom_gradient
    def svd(matrix):
        return plain(matrix), lambda *upstream: tf.fill(
            tf.shape(matrix), tf.cast(np.inf, matrix.dtype)
        )

    monkeypatch.setattr(tf.linalg, "svd", svd)
    test_gradient_against_finite_differences(rng)


@pytest.mark.parametrize("weights", [np.zeros(6), np.eye(6)[0]], ids=["none", "one"])
def test_nothing_to_correlate_is_the_most_and_teaches_nothing(rng, weights):
    x = tf.constant(rng.normal(size=(6, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = canonical_correlation(x, x + 1.0, tf.constant(weights, tf.float32), 0.1)
    assert float(value) == 3
    np.testing.assert_array_equal(tape.gradient(value, x), np.zeros((6, 3)))


def test_only_complete_items_count(rng):
    x, y = rng.normal(size=(2, 9, 3)).astype(np.float32)
    image_mask, text_mask = np.ones(9), np.ones(9)
    image_mask[2], text_mask[[0, 5]] = 0, 0
    kept = (image_mask * text_mask) > 0
    value = CanonicalCorrelation(0.1)(
        {keys.IMAGE_REPRESENTATION: tf.constant(x), keys.TEXT_REPRESENTATION: tf.constant(y)},
        {
            keys.WEIGHT: tf.ones(9),
            keys.IMAGE_MASK: tf.constant(image_mask, tf.float32),
            keys.TEXT_MASK: tf.constant(text_mask, tf.float32),
        },
    )
    assert float(value) == pytest.approx(slow_loss(x[kept], y[kept], 0.1), rel=1e-4)


def test_a_batch_no_larger_than_the_embedding_is_refused(rng):
    rows = tf.constant(rng.normal(size=(4, 4)), tf.float32)
    outputs = {keys.IMAGE_REPRESENTATION: rows, keys.TEXT_REPRESENTATION: rows}
    batch = dict.fromkeys((keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK), tf.ones(4))
    with pytest.raises(UserError, match=r"--batch_size above --embedding_dim, 4. Received: 4"):
        CanonicalCorrelation(0.1)(outputs, batch)
