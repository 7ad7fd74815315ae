"""What the tests of losses over pairs share: random cases, and gradients by differences."""

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.losses.pairs import Pairs


def random_case(rng, queries=6, candidates=5):
    """(similarities, positives, negatives, weights), float64: all roles, some absent, some heavy.

    The last query has no positive, the one before it no negative, and the first weighs nothing.
    """
    similarities = rng.uniform(-1, 1, (queries, candidates))
    role = rng.integers(0, 3, (queries, candidates))
    role[:, 0], role[:, 1] = 1, 2
    role[-1][role[-1] == 1] = 0
    role[-2][role[-2] == 2] = 0
    weight = rng.choice([0.5, 1, 2, 3], (queries, candidates))
    weights = rng.choice([0.5, 1, 2], queries)
    weights[0] = 0
    return similarities, weight * (role == 1), weight * (role == 2), weights


def as_pairs(similarities, positives, negatives, weights):
    return Pairs(
        *(
            tf.convert_to_tensor(each, tf.float32)
            for each in (similarities, positives, negatives, weights)
        )
    )


def check_gradient(loss, slow, case):
    """The gradient in the similarities is that of the slow loss, by central differences."""
    base = np.asarray(case[0], np.float64)
    similarities = tf.constant(base, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(similarities)
        value = loss(as_pairs(similarities, *case[1:]))
    gradient = tape.gradient(value, similarities).numpy()
    assert np.abs(gradient).max() > 0
    for index in np.ndindex(*base.shape):
        up, down = base.copy(), base.copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        difference = (slow(up, *case[1:]) - slow(down, *case[1:])) / 2e-5
        assert gradient[index] == pytest.approx(difference, abs=2e-4)
