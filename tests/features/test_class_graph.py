"""Distances of classes, by name, by path, by tree, blended and from a file."""

from __future__ import annotations

import collections
import subprocess
import sys

import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.features.class_graph import (
    GraphPart,
    class_distances,
    class_embeddings,
    parse_class_graph,
    unique_names,
)

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


def test_class_embeddings_are_unit_vectors_of_the_names():
    paths = [("home", "bed"), ("home", "chair"), ("garden", "lamp")]
    found = class_embeddings(paths, encode)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 1], [-1, 0]], atol=1e-6)
    assert found.dtype == np.float32
    # They are what the class graph by name compares.
    np.testing.assert_allclose(
        1 - found @ found.T, class_distances(paths, "name", encode), atol=1e-6
    )


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


def test_hops_are_shares_of_the_longest_way():
    """a/b/c to a/b/d 2 edges, to a 2, to e 4, to e/b/c 6, the longest; a to e/b/c 4."""
    paths = [("a", "b", "c"), ("a", "b", "d"), ("a",), ("e",), ("e", "b", "c")]
    expected = [[0, 2, 2, 4, 6], [2, 0, 2, 4, 6], [2, 2, 0, 2, 4], [4, 4, 2, 0, 2], [6, 6, 4, 2, 0]]
    distances = class_distances(paths, "hops", refuse)
    np.testing.assert_allclose(distances, np.array(expected) / 6, atol=1e-7)


def walked(paths):
    """Per class: node -> (edges walked, least depth met), breadth first over the tree's edges."""
    neighbours = collections.defaultdict(set)
    for path in paths:
        for end in range(len(path)):
            neighbours[path[:end]].add(path[: end + 1])
            neighbours[path[: end + 1]].add(path[:end])
    for start in paths:
        found, waiting = {start: (0, len(start))}, collections.deque([start])
        while waiting:
            node = waiting.popleft()
            for other in neighbours[node] - found.keys():
                edges, least = found[node]
                found[other] = (edges + 1, min(least, len(other)))
                waiting.append(other)
        yield found


@pytest.mark.parametrize("seed", range(10))
def test_tree_and_hops_equal_a_walk_along_the_edges(seed):
    """The way between two nodes turns at their deepest common ancestor, so that is the least depth.

    Classes come in any order, at any depth, and some lie above others.
    """
    generator = np.random.default_rng(seed)
    drawn = {
        tuple(generator.choice(list("abc"), generator.integers(1, 6)).tolist()) for _ in range(30)
    }
    paths = list(drawn)
    generator.shuffle(paths)
    found = [[ways[path] for path in paths] for ways in walked(paths)]
    wu_palmer = [
        [2 * least / (len(one) + len(other)) for other, (_, least) in zip(paths, row, strict=True)]
        for one, row in zip(paths, found, strict=True)
    ]
    np.testing.assert_allclose(
        class_distances(paths, "tree", refuse), 1 - np.array(wu_palmer), atol=1e-6
    )
    edges = np.array([[edges for edges, _ in row] for row in found])
    np.testing.assert_allclose(
        class_distances(paths, "hops", refuse), edges / edges.max(), atol=1e-6
    )


def test_a_blend_is_the_weighted_mean():
    """bed-chair: cosine distance .2 and, as siblings under home, Wu-Palmer distance 1 - 2/4.

    (3 x .2 + 1 x .5) / 4 = .275. bed-lamp: 1.6 and 1: (4.8 + 1) / 4 = 1.45.
    """
    paths = [("home", "bed"), ("home", "chair"), ("garden", "lamp")]
    distances = class_distances(paths, "3*name + 1*tree", encode)
    assert distances[0, 1] == pytest.approx(0.275, abs=1e-6)
    assert distances[0, 2] == pytest.approx(1.45, abs=1e-6)


def test_a_file_takes_part_in_a_blend(tmp_path):
    np.save(tmp_path / "d.npy", [[0, 4.0], [4.0, 0]])
    paths = [("a", "x"), ("a", "y")]
    distances = class_distances(paths, f"0.5*tree+0.5*file:{tmp_path}/d.npy", refuse)
    np.testing.assert_allclose(distances, [[0, 2.25], [2.25, 0]])
    alone = class_distances(paths, f"file:{tmp_path}/d.npy", refuse)
    np.testing.assert_array_equal(alone, np.float32([[0, 4], [4, 0]]))


@pytest.mark.parametrize("kind", ["name", "path", "tree", "hops", "0.2*name+0.8*hops"])
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


def test_thousands_of_classes_take_no_quadratic_python():
    """2,000 classes: 4 million pairs, a second in NumPy and ten in Python (counted, not timed)."""
    paths = [(f"a{n % 9}", f"b{n % 40}", f"c{n}") for n in range(2000)]
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        class_distances(paths, "0.5*tree+0.3*hops+0.2*name", lambda names: np.ones((len(names), 2)))
    finally:
        sys.setprofile(None)
    assert calls < 200_000


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("name", [(1, "name")]),
        ("2*tree", [(1, "tree")]),
        ("0.7*name+0.3*tree", [(0.7, "name"), (0.3, "tree")]),
        (" 1 * hops + 3. * path ", [(0.25, "hops"), (0.75, "path")]),
        ("file:a+b*c.csv", [(1, "file:a+b*c.csv")]),
        (".5*file:a*b.npy+.5*file:c.csv", [(0.5, "file:a*b.npy"), (0.5, "file:c.csv")]),
    ],
)
def test_specs(spec, parts):
    assert parse_class_graph(spec) == tuple(GraphPart(*part) for part in parts)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pth", r"Expected one of: file:FILE, hops, .* Received: 'pth'. Did you mean 'path'"),
        ("0.5*name+0.5*tre", r"Received: 'tre'. Did you mean 'tree'"),
        ("", r"Received: ''"),
        ("name+tree", r"needs a weight above 0.* Received: 'name' in 'name\+tree'"),
        ("0.7*name+tree", r"Received: 'tree' in"),
        ("0.7*name+file:a.csv", r"Received: 'file:a.csv' in"),
        ("0*name+1*tree", r"needs a weight above 0.* Received: '0\*name' in"),
        ("-1*name+2*tree", r"Received: '-1\*name'"),
        ("nan*name", r"Received: 'nan\*name'"),
        ("x*name", r"Received: 'x\*name'"),
        ("*name", r"Received: '\*name'"),
        ("1" * 400 + "*name", r"needs a weight above 0"),
        ("0.5*name+", r"Received: '' in"),
        ("0.5*name*tree", r"Received: 'name\*tree'"),
        ("0.5*name+0.5*name", r"blends name with itself"),
        ("file:", r"names no file"),
        ("1*file:+1*name", r"names no file"),
    ],
)
def test_specs_that_are_none(spec, message):
    with pytest.raises(UserError, match=message):
        parse_class_graph(spec)
    with pytest.raises(UserError, match=message):
        class_distances([("a",)], spec, refuse)


def test_specs_are_checked_without_tensorflow():
    script = (
        "import sys; from huse_tf.features.class_graph import parse_class_graph\n"
        "parse_class_graph('name')\n"
        "sys.exit(str({'tensorflow', 'keras', 'scipy', 'pandas'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
