"""Nodes of a class tree by name, id and path; and trees from nodes that name their parents."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.data.classes.tree import MAX_DEPTH, ClassTree, Node, node_paths
from huse_tf.errors import UserError

HOME, SEATS, CHAIRS = ("Home",), ("Home", "Seats"), ("Home", "Seats", "Arm chairs")
TOYS, TOY_CHAIRS, PLAY = ("Toys",), ("Toys", "Arm chairs"), ("Toys", "Home")
TREE = ClassTree(
    "tree.txt", (HOME, SEATS, CHAIRS, TOYS, TOY_CHAIRS, PLAY), {"7": CHAIRS, "Seats": TOYS}
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Toys", TOYS),
        ("  tOYS ", TOYS),
        ("7", CHAIRS),
        ("Home > Seats > Arm chairs", CHAIRS),
        ("Home<Seats<Arm chairs", CHAIRS),
        ("home>SEATS>arm_chairs", CHAIRS),
        ("Seats > Arm chairs", CHAIRS),
        ("Toys > arm  chairs", TOY_CHAIRS),
        ("Home", HOME),  # a path from the top, though "Toys > Home" ends so too
        ("Toys > Home", PLAY),
    ],
)
def test_a_node_is_found_by_name_id_and_path(name, path):
    assert TREE.path_of(name) == path


def test_a_name_of_several_nodes_lists_them():
    with pytest.raises(UserError, match=r"2 classes of tree.txt are called 'arm chairs'") as error:
        TREE.path_of("arm chairs")
    assert "Home > Seats > Arm chairs; Toys > Arm chairs." in str(error.value)


def test_a_name_that_is_also_the_id_of_another_node_is_ambiguous():
    with pytest.raises(UserError, match="Home > Seats; Toys"):
        TREE.path_of("Seats")


def test_a_long_list_of_candidates_is_cut():
    tree = ClassTree("t", tuple((f"n{n}", "x") for n in range(13)))
    with pytest.raises(UserError, match=r"n9 > x and 3 more\. Expected") as error:
        tree.path_of("x")
    assert "n10 > x" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("seatz", " Did you mean 'seats'?"),
        ("Home > Arm chair", " Did you mean 'arm chairs'?"),
        ("Kitchen > Seats", " Did you mean 'seats'?"),
        ("qqq", ""),
        ("", ""),
        ("<", ""),
        ("Home > ", ""),
    ],
)
def test_an_unknown_name_says_what_is_expected(name, hint):
    with pytest.raises(UserError, match=r"Unknown class. Expected the name, the id") as error:
        TREE.path_of(name)
    assert str(error.value).endswith(f"6 classes of tree.txt. Received: {name!r}.{hint}")


def test_a_meant_node_goes_before_others_of_its_name():
    tree = ClassTree("t", (("a", "crane"), ("b", "crane")), meant={"crane": ("b", "crane")})
    assert tree.path_of("Crane") == ("b", "crane")
    assert tree.path_of("a > crane") == ("a", "crane")


def parents(**edges: str) -> dict[str, Node]:
    return {k: Node(k, parent, line) for line, (k, parent) in enumerate(edges.items(), start=2)}


def test_paths_of_nodes_in_any_order_with_several_roots():
    nodes = parents(leaf="twig", twig="root", other="", root="")
    assert node_paths(nodes, "f") == {
        "root": ("root",),
        "twig": ("root", "twig"),
        "leaf": ("root", "twig", "leaf"),
        "other": ("other",),
    }


@pytest.mark.parametrize("seed", range(10))
def test_paths_of_random_trees_equal_a_walk_to_the_root(seed):
    generator = np.random.default_rng(seed)
    parent = {0: None} | {n: int(generator.integers(-1, n)) for n in range(1, 40)}
    order = generator.permutation(40).tolist()
    nodes = {
        f"id{n}": Node(f"name {n}", "" if parent[n] in (None, -1) else f"id{parent[n]}", n)
        for n in order
    }
    expected = {}
    for n in range(40):
        walk, here = [], n
        while here not in (None, -1):
            walk.insert(0, f"name {here}")
            here = parent[here]
        expected[f"id{n}"] = tuple(walk)
    found = node_paths(nodes, "f")
    assert found == expected
    ends = list(found.values())
    assert all(path[:-1] in [(), *ends[:place]] for place, path in enumerate(ends))


def chain(length: int) -> dict[str, Node]:
    return {f"n{n}": Node(f"n{n}", f"n{n - 1}" if n else "", n + 1) for n in range(length)}


def test_depth_has_a_limit():
    assert max(map(len, node_paths(chain(MAX_DEPTH), "f").values())) == MAX_DEPTH
    with pytest.raises(UserError, match=f"f, line {MAX_DEPTH + 1}: 'n{MAX_DEPTH}' lies deeper"):
        node_paths(chain(MAX_DEPTH + 1), "f")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (parents(a="b", b=""), None),
        (parents(a=""), None),
        (parents(a="a"), r"f, line 2: a class is its own ancestor: a -> a\."),
        (parents(x="a", a="b", b="c", c="a"), r"f, line 3: .* own ancestor: a -> b -> c -> a\."),
        (parents(a="", b="zz"), r"f, line 3: unknown parent\. .* Received: 'zz'"),
        ({"1": Node("", "", 5)}, r"f, line 5: expected a class name.* Received: ''"),
        ({"1": Node("a<b", "", 5)}, r"f, line 5: .* Received: 'a<b'"),
        ({"1": Node("a>b", "", 5)}, r"f, line 5: .* Received: 'a>b'"),
        (
            {"r": Node("R", "", 1), "1": Node("A b", "r", 2), "2": Node("a_B", "r", 3)},
            r"f, line 3: line 2 has put 'a_B' under 'R' already",
        ),
        ({"1": Node("A", "", 2), "2": Node("A", "", 3)}, "has put 'A' under 'the top' already"),
    ],
)
def test_what_is_no_tree(nodes, message):
    if message is None:
        assert len(node_paths(nodes, "f")) == len(nodes)
    else:
        with pytest.raises(UserError, match=message):
            node_paths(nodes, "f")


def test_a_cycle_of_thousands_is_named_in_short():
    nodes = {str(n): Node(str(n), str((n + 1) % 5000), n + 1) for n in range(5000)}
    with pytest.raises(UserError, match="its own ancestor: 0 -> 1") as error:
        node_paths(nodes, "f")
    assert len(str(error.value)) < 200
