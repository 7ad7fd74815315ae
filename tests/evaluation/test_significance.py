import math

import numpy as np
import pytest

from huse_tf.evaluation.significance import holm, paired_bootstrap


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


@pytest.mark.parametrize(
    ("differences", "p", "ends"),
    [
        # Two draws of two products: in 1 of 4 resamples both are the second, and its side is against.
        ([3.0, -1.0], 1 / 2, (-1, 3)),
        ([-3.0, 1.0], 1 / 2, (-3, 1)),
        # A mean of 0 is on the other side too, whichever that is: again 1 of 4 resamples.
        ([0.0, 1.0], 1 / 2, (0, 1)),
        ([0.0, -1.0], 1 / 2, (-1, 0)),
        # 3 of 4 are at 0 or below, and 3 of 4 at 0 or above: at most 1.
        ([1.0, -1.0], 1, (-1, 1)),
        # Three draws of three: against where the third comes twice, 6 of 27, or three times, 1 of 27.
        ([3.0, 3.0, -3.0], 2 * 7 / 27, (-3, 3)),
    ],
)
def test_p_by_hand(differences, p, ends):
    """Twice the share of all resamples that are on the other side of 0, or at it.

    Among 50,000 the share has a standard deviation of at most .0022.
    """
    count = len(differences)
    found = paired_bootstrap(differences, np.zeros(count), np.arange(count), resamples=50_000)
    assert found.p == pytest.approx(p, abs=0.015)
    assert (found.low, found.high) == ends
    assert found.mean == pytest.approx(np.mean(differences))


def test_p_of_a_clear_but_possible_chance():
    """18 products ahead by 1 and 7 behind by 1. A resample's sum is that of 25 signs, each - with
    probability 7/25; it is against if 13 or more are -, the tail of a binomial: p = 2 * .0150."""
    tail = sum(math.comb(25, k) * 0.28**k * 0.72 ** (25 - k) for k in range(13, 26))
    signs = np.repeat([1.0, -1.0], [18, 7])
    found = paired_bootstrap(signs, np.zeros(25), np.arange(25), resamples=50_000)
    assert found.p == pytest.approx(2 * tail, rel=0.1)


def test_means_are_over_queries_not_over_products():
    """One query of +3, and three of -.5 of another product: (3 - 1.5) / 4, though their means' mean is
    1.25. Drawn twice, the first is 3, the second -.5."""
    found = paired_bootstrap(np.array([3, -0.5, -0.5, -0.5]), np.zeros(4), np.array([0, 1, 1, 1]))
    assert (found.mean, found.low, found.high) == (0.375, -0.5, 3)


def test_as_many_resamples_are_drawn_as_asked():
    """Of 300, which are no multiple of what is drawn at once: the smallest p is 1 / 300."""
    assert paired_bootstrap(np.ones(3), np.zeros(3), np.arange(3), resamples=300).p == 1 / 300


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
    with pytest.raises(ValueError, match="Received: 2 and 3 values, 2 clusters"):
        paired_bootstrap(np.zeros(2), np.zeros(3), np.zeros(2))


def rejected_step_by_step(p_values, level):
    """Holm's own words: reject the smallest p while it is at most level / (hypotheses left); then stop."""
    left, rejected = dict(enumerate(p_values)), set()
    while left:
        place = min(left, key=left.get)
        if left[place] > level / len(left):
            break
        rejected.add(place)
        del left[place]
    return rejected


def test_holm_by_hand():
    """.01 * 3, then .03 * 2 = .06, and .04 * 1 is raised to .06. Of two of .6 each 1.2 is cut to 1."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.6]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_holm_rejects_what_the_procedure_rejects(rng):
    for _ in range(50):
        p_values = (rng.random(rng.integers(1, 9)) ** 3).tolist()
        for level in (0.01, 0.05, 0.3):
            found = {place for place, p in enumerate(holm(p_values)) if p <= level}
            assert found == rejected_step_by_step(p_values, level)


def test_holm_makes_no_p_smaller():
    p_values = np.linspace(0.001, 0.9, 7).tolist()
    assert all(after >= before for before, after in zip(p_values, holm(p_values), strict=True))
