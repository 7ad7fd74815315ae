import numpy as np
import pytest
import tensorflow as tf

from huse_tf.losses.label_distances import label_distances, label_set_distances


def symmetric(rng, classes):
    distances = rng.uniform(0.1, 1.2, (classes, classes))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    return distances


def random_sets(rng, n, classes):
    labels = (rng.random((n, classes)) < 0.3).astype(np.float32)
    labels[np.arange(n), rng.integers(0, classes, n)] = 1
    return labels


def slow_set_distance(s, t, distances):
    """The definition, class by class."""
    there = [min(distances[a][b] for b in t) for a in s]
    back = [min(distances[a][b] for a in s) for b in t]
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def run(labels, distances):
    return label_set_distances(
        tf.constant(labels, tf.float32), tf.constant(distances, tf.float32)
    ).numpy()


def test_by_hand():
    """Classes 0, 1, 2 with A01 = .4, A02 = 1, A12 = .6; S = {0, 1}, T = {2}.

    From S: (A02 + A12) / 2 = .8; from T: min(A02, A12) = .6; mean .7.
    """
    distances = [[0, 0.4, 1], [0.4, 0, 0.6], [1, 0.6, 0]]
    expected = [[0, 0.7], [0.7, 0]]
    np.testing.assert_allclose(run([[1, 1, 0], [0, 0, 1]], distances), expected, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 5, 12])
def test_equals_the_slow_loops(rng, classes):
    labels, distances = random_sets(rng, 9, classes), symmetric(rng, classes)
    sets = [np.flatnonzero(row).tolist() for row in labels]
    expected = [[slow_set_distance(s, t, distances) for t in sets] for s in sets]
    np.testing.assert_allclose(run(labels, distances), expected, atol=1e-6)


def test_equal_sets_are_at_no_distance_and_single_classes_at_theirs(rng):
    distances, labels = symmetric(rng, 6), rng.integers(0, 6, 8)
    sets = run(np.eye(6)[labels], distances)
    np.testing.assert_allclose(sets, distances[np.ix_(labels, labels)], atol=1e-6)
    single = label_distances(tf.constant(labels, tf.int32), tf.constant(distances, tf.float32))
    np.testing.assert_array_equal(single, distances.astype(np.float32)[np.ix_(labels, labels)])
    np.testing.assert_array_equal(np.diag(run(random_sets(rng, 8, 6), distances)), 0)


def test_many_classes_fit_into_memory(rng):
    """64 items of at most four of 3000 classes; [n, n, K, K] would be 150 TB, [n, K, K] 2 GB."""
    labels = np.zeros((64, 3000), np.float32)
    for row in labels:
        row[rng.integers(0, 3000, 4)] = 1
    places = rng.random(3000)
    distances = np.abs(places[:, None] - places)
    found = run(labels, distances)
    s, t = (np.flatnonzero(labels[i]) for i in (3, 40))
    assert found[3, 40] == pytest.approx(slow_set_distance(s, t, distances), abs=1e-6)
