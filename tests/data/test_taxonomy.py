"""The class tree against a breadth-first search, and cases derived by hand."""

import collections

import numpy as np
import pytest

from huse_tf.data.classes.taxonomy import Taxonomy, distinct_ends, path_name, tree_hops
from huse_tf.errors import UserError

#              (root)
#         /       |        \
#   clothing    lamps*     toys
#    /     \                 |
#  tops   shoes*           shoes*
#  /  \
# a*   b*                                * = class
A, B = ("clothing", "tops", "a"), ("clothing", "tops", "b")
SHOES, LAMPS, TOY_SHOES = ("clothing", "shoes"), ("lamps",), ("toys", "shoes")
TREE = Taxonomy.from_paths([LAMPS, A, SHOES, B, TOY_SHOES, A])


def random_taxonomy(generator) -> Taxonomy:
    """Up to 40 classes of up to 4 levels with few names, so that prefixes and equal names occur."""
    return Taxonomy.from_paths(
        tuple(generator.choice(list("abc"), generator.integers(1, 5)).tolist())
        for _ in range(generator.integers(1, 41))
    )


def neighbours(classes):
    """Undirected is-a edges; a node is its whole path, the common root the empty one."""
    edges = collections.defaultdict(set)
    for path in classes:
        for end in range(len(path)):
            edges[path[:end]].add(path[: end + 1])
            edges[path[: end + 1]].add(path[:end])
    return edges


def rings(classes, start):
    """The nodes 0, 1, 2 … edges from `start`, by breadth-first search."""
    edges, seen, ring = neighbours(classes), {start}, {start}
    while ring:
        yield ring
        ring = {other for node in ring for other in edges[node]} - seen
        seen |= ring


def correct_set(classes, true, k):
    """The algorithm word for word: unite rings, internal nodes left out, until k are in."""
    united = set()
    for ring in rings(classes, true):
        if len(united) >= k:
            break
        united |= ring & set(classes)
    return united


def test_labels_are_places_in_the_sorted_classes():
    assert TREE.classes == (SHOES, A, B, LAMPS, TOY_SHOES)
    assert [TREE.label(path) for path in TREE.classes] == [0, 1, 2, 3, 4]
    assert TREE.depth == 3


def test_an_unknown_class_is_none_or_an_error_with_the_nearest():
    assert TREE.find(("clothing", "tops")) is None
    assert TREE.find(LAMPS) == 3
    with pytest.raises(UserError, match="Did you mean 'lamps'"):
        TREE.label(("lamp",))


def test_names_get_parents_where_they_are_equal():
    assert TREE.names == ("clothing<shoes", "a", "b", "lamps", "toys<shoes")


def test_name_of_a_class_above_others_of_its_name():
    """("a",) cannot grow; the other two grow until they differ."""
    tree = Taxonomy.from_paths([("a",), ("b", "c", "a"), ("d", "c", "a")])
    assert tree.names == ("a", "b<c<a", "d<c<a")


@pytest.mark.parametrize("seed", range(20))
def test_names_are_unique_ends_of_the_paths(seed):
    tree = random_taxonomy(np.random.default_rng(seed))
    assert len(set(tree.names)) == len(tree.classes)
    assert all(
        path_name(path).endswith(name) for path, name in zip(tree.classes, tree.names, strict=True)
    )


@pytest.mark.parametrize("seed", range(20))
def test_ends_equal_a_search_through_all_pairs(seed):
    """For each path the shortest end that occurs once; the whole path if it ends another one."""
    generator = np.random.default_rng(seed)
    paths = list(random_taxonomy(generator).classes)
    generator.shuffle(paths)
    expected = [
        next(
            (
                path[-n:]
                for n in range(1, len(path) + 1)
                if sum(other[-n:] == path[-n:] for other in paths) == 1
            ),
            path,
        )
        for path in paths
    ]
    assert distinct_ends(paths) == expected


def test_level():
    assert TREE.level(1) == ("clothing", "clothing", "clothing", "lamps", "toys")
    assert TREE.level(2) == (
        "clothing<shoes",
        "clothing<tops",
        "clothing<tops",
        "lamps",
        "toys<shoes",
    )
    assert TREE.level(9) == tuple(map(path_name, TREE.classes))
    with pytest.raises(ValueError, match="count from 1"):
        TREE.level(0)


def test_tree_hops_by_hand():
    """Up and down again, e.g. shoes-clothing-tops-a: 3; a-tops-clothing-root-lamps: 4."""
    assert TREE.tree_hops().tolist() == [
        [0, 3, 3, 3, 4],
        [3, 0, 2, 4, 5],
        [3, 2, 0, 4, 5],
        [3, 4, 4, 0, 3],
        [4, 5, 5, 3, 0],
    ]


def test_hops_to_a_class_above():
    tree = Taxonomy.from_paths([("a",), ("a", "b"), ("a", "b", "c")])
    assert tree.tree_hops().tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]


def test_hops_of_paths_in_any_order():
    """a-tops-clothing-root-lamps: 4; a-tops-clothing-shoes: 3; clothing lies 2 above a."""
    assert tree_hops([LAMPS, A, SHOES, ("clothing",)]).tolist() == [
        [0, 4, 3, 2],
        [4, 0, 3, 2],
        [3, 3, 0, 1],
        [2, 2, 1, 0],
    ]


def test_correct_sets_by_hand():
    """Row "a": ring 0 has a, ring 2 b, ring 3 shoes, ring 4 lamps, ring 5 toy shoes.

    Row "shoes" at k = 2: ring 3 has a, b and lamps, and whole rings are added: four classes.
    """
    assert np.flatnonzero(TREE.correct_sets(1)[1]).tolist() == [1]
    assert np.flatnonzero(TREE.correct_sets(2)[1]).tolist() == [1, 2]
    assert np.flatnonzero(TREE.correct_sets(3)[1]).tolist() == [0, 1, 2]
    assert np.flatnonzero(TREE.correct_sets(2)[0]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(20))
def test_hops_and_correct_sets_equal_breadth_first_search(seed):
    generator = np.random.default_rng(seed)
    tree = random_taxonomy(generator)
    distance = [
        {node: hops for hops, ring in enumerate(rings(tree.classes, path)) for node in ring}
        for path in tree.classes
    ]
    np.testing.assert_array_equal(
        tree.tree_hops(), [[found[path] for path in tree.classes] for found in distance]
    )
    for k in {1, len(tree.classes), int(generator.integers(1, len(tree.classes) + 1))}:
        expected = [
            [path in correct_set(tree.classes, true, k) for path in tree.classes]
            for true in tree.classes
        ]
        np.testing.assert_array_equal(tree.correct_sets(k), expected)


@pytest.mark.parametrize("k", [0, 6])
def test_correct_sets_need_k_classes(k):
    with pytest.raises(UserError, match=f"number of classes, 5. Received: {k}"):
        TREE.correct_sets(k)


def test_json_round_trip():
    assert Taxonomy.from_json(TREE.to_json()) == TREE


@pytest.mark.parametrize(
    "classes",
    [(), (("b",), ("a",)), (("a",), ("a",)), ((),), (("a", ""),), (("a<b",),)],
)
def test_what_is_no_vocabulary(classes):
    with pytest.raises(ValueError, match="Received"):
        Taxonomy(classes)
