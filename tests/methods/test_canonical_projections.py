import numpy as np
import pytest
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_linnerud

from huse_tf.methods.canonical_projections import canonical_projections


def related(rng, n=300):
    """Two views of two hidden signals, at scales far apart, and their noise."""
    signal = rng.normal(size=(n, 2))
    x = np.hstack([signal, signal]) @ rng.normal(size=(4, 5)) + rng.normal(size=(n, 5))
    y = signal @ rng.normal(size=(2, 4)) + rng.normal(size=(n, 4))
    return x * [1, 10, 0.1, 1, 1] + 3, y


def correlations_of(found, x, y):
    a, b = (
        view @ kernel + bias
        for view, kernel, bias in zip((x, y), found.kernels, found.biases, strict=True)
    )
    return [float(np.corrcoef(u, v)[0, 1]) for u, v in zip(a.T, b.T, strict=True)]


def test_correlations_are_those_of_scikit_learn(rng):
    x, y = related(rng)
    found = canonical_projections(x, y, np.ones(300), 3, 0.0)
    a, b = CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = [np.corrcoef(u, v)[0, 1] for u, v in zip(a.T, b.T, strict=True)]
    np.testing.assert_allclose(found.correlations, expected, atol=1e-5)
    np.testing.assert_allclose(correlations_of(found, x, y), expected, atol=1e-5)


def test_variates_are_white_and_uncorrelated_but_in_pairs(rng):
    x, y = related(rng)
    found = canonical_projections(x, y, np.ones(300), 4, 0.0)
    a, b = (v @ k + c for v, k, c in zip((x, y), found.kernels, found.biases, strict=True))
    np.testing.assert_allclose(a.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(a.T @ a / 300, np.eye(4), atol=1e-4)
    np.testing.assert_allclose(b.T @ b / 300, np.eye(4), atol=1e-4)
    np.testing.assert_allclose(a.T @ b / 300, np.diag(found.correlations), atol=1e-4)


def test_units_of_the_features_do_not_matter_and_the_ridge_shrinks(rng):
    x, y = related(rng)
    one = canonical_projections(x, y, np.ones(300), 2, 0.5)
    other = canonical_projections(x * [100, 1, 1, 0.01, 1] - 7, y, np.ones(300), 2, 0.5)
    np.testing.assert_allclose(other.correlations, one.correlations, rtol=1e-6)
    assert (one.correlations < canonical_projections(x, y, np.ones(300), 2, 0.0).correlations).all()


def test_a_ridge_by_hand():
    """One feature each, equal: correlation 1 / (1 + r), and the kernel 1 / sqrt(1 + r) over its spread."""
    x = np.array([[0.0], [4.0]])  # of mean 2 and standard deviation 2
    found = canonical_projections(x, x, np.ones(2), 1, 3.0)
    assert found.correlations[0] == pytest.approx(1 / 4)
    assert abs(found.kernels[0][0, 0]) == pytest.approx(1 / np.sqrt(4) / 2)
    assert found.biases[0][0] == pytest.approx(-2 * found.kernels[0][0, 0])


def test_an_item_of_weight_two_is_two_items(rng):
    x, y = related(rng, 40)
    weights = rng.integers(1, 4, 40)
    rows = np.repeat(np.arange(40), weights)
    one = canonical_projections(x, y, weights, 2, 0.1)
    two = canonical_projections(x[rows], y[rows], np.ones(len(rows)), 2, 0.1)
    np.testing.assert_allclose(one.correlations, two.correlations, rtol=1e-9)
    for a, b in zip(one.kernels, two.kernels, strict=True):
        np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-5)


def test_more_features_than_items_and_constant_ones_are_no_trouble(rng):
    """With a ridge: items that were not seen are not thrown far by features that were constant."""
    x, y = rng.normal(size=(2, 10, 30))
    x[:, 3] = 5.0
    found = canonical_projections(x, y, np.ones(10), 4, 1e-3)
    assert all(np.isfinite(part).all() for part in (*found.kernels, *found.biases))
    np.testing.assert_array_equal(found.kernels[0][3], 0)
    assert 0 <= found.correlations.min() <= found.correlations.max() <= 1


def test_without_standardising_the_ridge_is_over_the_mean_variance(rng):
    """Features of variances 7 and 1 have the mean 4, so a ridge of 1/2 adds 2 to both variances."""
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * [np.sqrt(7), 1]
    found = canonical_projections(corners, corners, np.ones(4), 2, 0.5, standardize=False)
    np.testing.assert_allclose(found.correlations, [7 / 9, 1 / 3])
    np.testing.assert_allclose(np.abs(found.kernels[0]), [[1 / 3, 0], [0, 3**-0.5]], atol=1e-6)


def test_standardising_changes_nothing_without_a_ridge(rng):
    x, y = related(rng)
    one, other = (
        canonical_projections(x, y, np.ones(300), 3, 0.0, standardize=each)
        for each in (True, False)
    )
    np.testing.assert_allclose(other.correlations, one.correlations, rtol=1e-6)


def test_pixels_that_hardly_vary_do_not_drown_the_others(rng):
    """Forty pixels that are lit in few items, and one that tells: standardised, some of the forty outweigh it."""
    signal = rng.normal(size=(200, 1))
    x, y = (np.hstack([signal, 0.02 * rng.normal(size=(200, 40))]) for _ in range(2))
    found = [
        canonical_projections(x, y, np.ones(200), 1, 0.1, standardize=s) for s in (True, False)
    ]
    shares = [np.abs(each.kernels[0][0, 0]) / np.abs(each.kernels[0][:, 0]).max() for each in found]
    assert shares[1] > 0.9 > 0.6 > shares[0]


def test_linnerud_has_the_correlations_of_the_manual_of_sas():
    """Proc cancorr, its first example: twenty men, three measures of the body, three exercises."""
    table = load_linnerud()
    found = canonical_projections(table.target, table.data, np.ones(20), 3, 0.0)
    np.testing.assert_allclose(found.correlations, [0.795608, 0.200556, 0.072570], atol=5e-7)
