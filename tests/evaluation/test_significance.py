import numpy as np
import pytest

from huse_tf.evaluation.significance import paired_bootstrap


def slow(one, other, clusters, resamples, seed):
    """Draws names of clusters one by one, and takes the mean over all their queries."""
    names = sorted(set(clusters))
    members = {name: [i for i, c in enumerate(clusters) if c == name] for name in names}
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        drawn = [names[generator.integers(len(names))] for _ in names]
        rows = [row for name in drawn for row in members[name]]
        means.append(np.mean([one[row] - other[row] for row in rows]))
    return np.array(means)


def test_agrees_with_drawing_one_by_one(rng):
    """Other draws of the same distribution: ends within .01 at 20,000 resamples (sd of the ends
    about sqrt(.025 * .975 / 20000) / density, well below .005 here)."""
    clusters = rng.choice(list("abcdefghijklmnopqrst"), 60)
    one, other = rng.random(60), rng.random(60) + 0.05
    found = paired_bootstrap(one, other, clusters, resamples=20_000)
    means = slow(one, other, clusters, 20_000, seed=1)
    assert found.mean == pytest.approx(np.mean(one - other))
    assert (found.low, found.high) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975])), abs=0.01
    )
    p = 2 * min(np.mean(means <= 0), np.mean(means >= 0))
    assert found.p == pytest.approx(p, abs=0.02)


def test_equal_methods_do_not_differ():
    same = np.array([0.0, 1.0, 1.0])
    found = paired_bootstrap(same, same, np.arange(3))
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_method_that_is_always_ahead_has_the_smallest_p():
    found = paired_bootstrap(np.ones(30), np.zeros(30), np.arange(30), resamples=500)
    assert (found.mean, found.low, found.high) == (1, 1, 1)
    assert found.p == 1 / 500


def test_queries_of_one_product_count_as_one():
    """50 copies of each of 4 outcomes are no more evidence than the 4: the interval is as wide."""
    one, other = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 0.0])
    few = paired_bootstrap(one, other, np.arange(4))
    many = paired_bootstrap(np.repeat(one, 50), np.repeat(other, 50), np.repeat(np.arange(4), 50))
    assert (few.low, few.high, few.p) == (many.low, many.high, many.p)
    apart = paired_bootstrap(np.repeat(one, 50), np.repeat(other, 50), np.arange(200))
    assert apart.high - apart.low < (few.high - few.low) / 3


def test_the_sign_says_who_is_ahead(rng):
    one, other, clusters = rng.random(40), rng.random(40), np.arange(40)
    there, back = paired_bootstrap(one, other, clusters), paired_bootstrap(other, one, clusters)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="Received: 2, 3 and 2"):
        paired_bootstrap(np.zeros(2), np.zeros(3), np.zeros(2))
