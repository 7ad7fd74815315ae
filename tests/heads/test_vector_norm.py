import keras
import numpy as np
import pytest

from huse_tf.heads.vector_norm import vector_batch_norm


def oracle(x, mean, divisor):
    """Item by item: less the mean, over one number."""
    return np.stack([(row - mean) / divisor for row in x])


def statistics(x, epsilon=1e-5):
    mean = np.array([sum(column) / len(x) for column in x.T])
    distances = [sum((value - m) ** 2 for value, m in zip(row, mean, strict=True)) for row in x]
    return mean, np.sqrt(sum(distances) / len(x) + epsilon)


def build(dim, **settings):
    inputs = keras.Input((dim,))
    return keras.Model(inputs, vector_batch_norm(inputs, "norm", **settings))


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_training_batches_have_mean_squared_norm_one(rng, scale):
    x = (scale * (rng.normal(size=(16, 5)) * [1, 2, 0.1, 1, 3] + 4)).astype(np.float32)
    found = build(5)(x, training=True).numpy()
    np.testing.assert_allclose(
        found, oracle(x.astype(float), *statistics(x.astype(float))), atol=1e-4
    )
    assert np.mean(np.sum(found**2, axis=1)) == pytest.approx(1, abs=0.12 if scale < 1 else 1e-3)


def test_directions_are_kept(rng):
    """One divisor for all coordinates: plain batch normalisation would make their spreads equal."""
    x = (rng.normal(size=(64, 2)) * [1, 10]).astype(np.float32)
    spread = build(2)(x, training=True).numpy().std(axis=0)
    assert spread[1] / spread[0] == pytest.approx(x.std(axis=0)[1] / x.std(axis=0)[0], rel=1e-4)


def test_inference_uses_moving_statistics(rng):
    """After two batches from mean 0 and divisor^2 D: each moves by a tenth of the way."""
    batches = [(rng.normal(size=(8, 3)) + 2).astype(np.float32) for _ in range(2)]
    model = build(3, momentum=0.9)
    mean, variance = np.zeros(3), 3.0
    for batch in batches:
        model(batch, training=True)
        batch_mean, divisor = statistics(batch.astype(float), epsilon=0)
        mean, variance = 0.9 * mean + 0.1 * batch_mean, 0.9 * variance + 0.1 * divisor**2
    x = rng.normal(size=(4, 3)).astype(np.float32)
    expected = oracle(x.astype(float), mean, np.sqrt(variance + 1e-5))
    np.testing.assert_allclose(model(x, training=False), expected, atol=1e-4)


def test_a_batch_moves_the_statistics_by_a_tenth():
    """By hand: a batch of mean 10 takes the moving mean from 0 to 1, and one of 0 then back to .9.

    Squared divisors: from 2, one for each coordinate, by 0 to 1.8, and by 2 * 5^2 to 6.62.
    """
    model = build(2)
    model(np.full((4, 2), 10, np.float32), training=True)
    model(np.array([[5, 5], [-5, -5]], np.float32), training=True)
    found = model(np.array([[0.9, 0.9 + 6.62**0.5]], np.float32), training=False)
    np.testing.assert_allclose(found, [[0, 1]], atol=1e-4)


def test_a_constant_becomes_zeros():
    np.testing.assert_allclose(
        build(2)(np.full((3, 2), 7, np.float32), training=True), 0, atol=1e-3
    )
