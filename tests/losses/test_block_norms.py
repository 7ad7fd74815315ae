import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from huse_tf import keys
from huse_tf.heads.multiple_neural_learning import theta_of_norms
from huse_tf.losses.block_norms import BlockPenalty, block_penalty

NORMS = np.array([3.0, 1.0, 0.5])


def penalty(norms, p):
    return float(block_penalty(tf.constant(norms, tf.float32), p))


def test_p_of_one_by_hand():
    """q = 1: (3 + 1)^2 = 16, and shares 3/4 and 1/4; 9 / .75 + 1 / .25 = 16 too."""
    assert penalty([3.0, 1.0], 1.0) == pytest.approx(16)
    np.testing.assert_allclose(theta_of_norms(np.array([3.0, 1.0]), 1.0), [0.75, 0.25])


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0])
def test_the_penalty_is_the_least_over_contributions(p):
    """R_p = min over theta >= 0, ||theta||_p <= 1 of sum n^2 / theta, attained at our theta."""
    found = minimize(
        lambda theta: np.sum(NORMS**2 / theta),
        np.full(3, 3 ** (-1 / p)) * 0.9,
        bounds=[(1e-6, 1)] * 3,
        constraints={"type": "ineq", "fun": lambda theta: 1 - np.sum(theta**p)},
        method="SLSQP",
        options={"ftol": 1e-9, "maxiter": 500},
    )
    assert found.success
    assert penalty(NORMS, p) == pytest.approx(found.fun, rel=1e-5)
    np.testing.assert_allclose(theta_of_norms(NORMS, p), found.x, atol=1e-3)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_contributions_have_p_norm_one_and_know_no_scale(rng, p):
    norms = rng.uniform(0.01, 5, (7, 4))
    theta = np.asarray(theta_of_norms(norms, p))
    np.testing.assert_allclose(np.sum(theta**p, axis=1), 1)
    np.testing.assert_allclose(theta_of_norms(9 * norms, p), theta)
    assert (np.argsort(theta) == np.argsort(norms)).all()


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_gradient_by_finite_differences(p):
    norms = tf.Variable(NORMS, dtype=tf.float64)
    with tf.GradientTape() as tape:
        value = block_penalty(norms, p)
    gradient = tape.gradient(value, norms).numpy()
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-6
        ends = [float(block_penalty(tf.constant(NORMS + s), p)) for s in (step, -step)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_the_term_does_not_depend_on_the_number_of_rows():
    for count in (1, 5):
        outputs = {keys.BLOCK_NORMS: tf.constant([[3.0, 1.0]] * count)}
        assert float(BlockPenalty(1.0)(outputs, {})) == pytest.approx(16)
