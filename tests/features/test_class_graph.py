"""Distances of classes, by name, by path and by tree."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.features.class_graph import class_distances, unique_names

VECTORS = {"home": (2, 0), "garden": (0, 1), "bed": (3, 4), "chair": (0, 5), "lamp": (-1, 0)}


def encode(names):
    return np.array([VECTORS[name] for name in names], np.float32)


def refuse(names):
    raise AssertionError("not needed")


def test_name_is_cosine_distance_of_leaves():
    """bed (.6, .8), chair (0, 1), lamp (-1, 0): cosines .8, -.6 and 0."""
    paths = [("home", "bed"), ("home", "chair"), ("garden", "lamp")]
    expected = [[0, 0.2, 1.6], [0.2, 0, 1], [1.6, 1, 0]]
    distances = class_distances(paths, "name", encode)
    np.testing.assert_allclose(distances, expected, atol=1e-6)
    assert distances.dtype == np.float32
    np.testing.assert_array_equal(distances, distances.T)


def test_leaves_of_the_same_name_are_told_apart():
    paths = [("a", "x", "lamp"), ("b", "x", "lamp"), ("b", "y", "lamp"), ("b", "bed"), ("bed",)]
    assert unique_names(paths) == ["a x lamp", "b x lamp", "y lamp", "b bed", "bed"]


def test_path_is_cosine_of_concatenated_levels():
    """(home, bed) = (1, 0, .6, .8), norm sqrt 2; (home) = (1, 0, 0, 0): cosine 1 / sqrt 2.

    (home, chair) = (1, 0, 0, 1): with bed (1 + .8) / 2 = .9, with (home) 1 / sqrt 2.
    """
    distances = class_distances([("home", "bed"), ("home",), ("home", "chair")], "path", encode)
    half = 1 - np.sqrt(0.5)
    np.testing.assert_allclose(
        distances, [[0, half, 0.1], [half, 0, half], [0.1, half, 0]], atol=1e-6
    )


def test_tree_is_wu_palmer():
    """a/b/c and a/b/d meet at depth 2: 1 - 4/6. a/b/c and a at 1: 1 - 2/4. e meets nothing: 1."""
    paths = [("a", "b", "c"), ("a", "b", "d"), ("a",), ("e",), ("e", "b", "c")]
    expected = np.array(
        [
            [0, 1 / 3, 1 / 2, 1, 1],
            [1 / 3, 0, 1 / 2, 1, 1],
            [1 / 2, 1 / 2, 0, 1, 1],
            [1, 1, 1, 0, 1 / 2],
            [1, 1, 1, 1 / 2, 0],
        ]
    )
    np.testing.assert_allclose(class_distances(paths, "tree", refuse), expected, atol=1e-7)


@pytest.mark.parametrize("kind", ["name", "path", "tree"])
def test_any_classes(kind, rng):
    """Symmetric, zero on the diagonal only, in range; a single class is no special case."""
    paths = [("a", "b"), ("a", "c"), ("d",), ("d", "b"), ("e", "f", "g")]

    def random_encode(names):
        return rng.normal(size=(len(names), 8))

    distances = class_distances(paths, kind, random_encode)
    np.testing.assert_array_equal(distances, distances.T)
    np.testing.assert_array_equal(np.diag(distances), 0)
    assert (distances[~np.eye(5, dtype=bool)] > 0).all() and distances.max() <= 2
    assert class_distances(paths[:1], kind, random_encode).tolist() == [[0.0]]


def test_unknown_kind():
    with pytest.raises(UserError, match=r"Expected one of: name, path, tree. Received: 'pth'"):
        class_distances([("a",)], "pth", refuse)
