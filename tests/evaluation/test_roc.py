"""An area as a mean over items, against scikit-learn, loops, and areas of drawn items."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from huse_tf.evaluation.roc import auc_values


def area(true, mismatched):
    match = np.repeat([1, 0], [len(true), len(mismatched)])
    return roc_auc_score(match, np.concatenate([true, mismatched]))


@pytest.fixture
def scores(rng):
    """Of 300 items, with ties; what an item's two pairs have in common is half of them."""
    common = rng.normal(size=300)
    true, mismatched = common + rng.normal(size=(2, 300)) + [[1.0], [0.0]]
    return np.round(true, 1), np.round(mismatched, 1)


def test_the_mean_is_the_area(scores):
    assert auc_values(*scores).mean() == pytest.approx(area(*scores), abs=1e-12)


def test_values_by_loops(scores):
    """Each item's true score against all mismatched ones, and the other way round."""
    true, mismatched = (each[:20] for each in scores)
    wins = np.array([[(t > m) + (t == m) / 2 for m in mismatched] for t in true])
    expected = wins.mean(axis=1) + wins.mean(axis=0) - area(true, mismatched)
    np.testing.assert_allclose(auc_values(true, mismatched), expected, atol=1e-12)


def test_they_vary_as_areas_of_drawn_items_do(scores, rng):
    """The standard error by means is that by areas computed anew; one that takes the two pairs of an
    item for independent is not."""
    true, mismatched = scores
    differences = true[:, np.newaxis] - mismatched
    wins = (np.sign(differences) + 1) / 2
    # How often each item is drawn, 2000 times; an area is the mean of the wins among what is drawn.
    times, other_times = rng.multinomial(300, np.full(300, 1 / 300), (2, 2000))
    areas = np.sum((times @ wins) * times, axis=1) / 300**2
    rows = np.repeat(np.arange(300), times[0])
    assert areas[0] == pytest.approx(area(true[rows], mismatched[rows]), abs=1e-12)
    of_items = times @ auc_values(true, mismatched) / 300
    assert np.std(of_items) == pytest.approx(np.std(areas), rel=0.03)
    apart = np.sum((times @ wins) * other_times, axis=1) / 300**2
    assert np.std(apart) > 1.15 * np.std(areas)


@pytest.mark.parametrize(("shift", "expected"), [(10.0, 1.0), (-10.0, 0.0)])
def test_scores_that_are_apart(shift, expected, rng):
    scores = rng.uniform(size=5)
    np.testing.assert_array_equal(auc_values(scores + shift, scores), np.full(5, expected))


def test_equal_scores_tell_nothing():
    np.testing.assert_array_equal(auc_values(np.ones(4), np.ones(4)), np.full(4, 0.5))
