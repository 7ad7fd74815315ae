"""Distances of classes: the adjacency matrix A of the semantic graph (HUSE, eq. 4)."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from huse_tf.data.classes.taxonomy import ClassPath, distinct_ends, tree_hops
from huse_tf.errors import UserError, unknown_name
from huse_tf.features.class_graph_file import read_distances

Encode = Callable[[list[str]], np.ndarray]
_FILE = "file:"
_EXAMPLE = "Expected for example name, 0.7*name+0.3*tree or file:distances.csv"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")


@dataclasses.dataclass(frozen=True)
class GraphPart:
    """One part of a class graph, which is a weighted mean of distances.

    Attributes:
        weight: weight above 0; the weights of a graph sum to 1.
        kind: "name", "path", "tree", "hops" or "file:FILE".
    """

    weight: float
    kind: str


def parse_class_graph(spec: str) -> tuple[GraphPart, ...]:
    """Parses --class_graph.

    Args:
        spec: a kind, or a blend WEIGHT*KIND+WEIGHT*KIND. A file in a blend has no + in its name.

    Raises:
        UserError: the spec has another form, an unknown kind, or a kind twice.
    """
    texts = [spec] if spec.startswith(_FILE) else spec.split("+")
    parts = [_parse_part(text.strip(), spec, len(texts) > 1) for text in texts]
    kinds = [part.kind for part in parts]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise UserError(
                f"--class_graph blends {kind} with itself. {_EXAMPLE}. Received: {spec!r}."
            )
    total = sum(part.weight for part in parts)
    return tuple(GraphPart(part.weight / total, part.kind) for part in parts)


def files_of(spec: str) -> list[pathlib.Path]:
    """The files that a class graph reads.

    Raises:
        UserError: the spec is not a class graph.
    """
    kinds = [part.kind for part in parse_class_graph(spec)]
    return [pathlib.Path(kind.removeprefix(_FILE)) for kind in kinds if kind.startswith(_FILE)]


def _parse_part(text: str, spec: str, in_blend: bool) -> GraphPart:
    weight, star, kind = text.partition("*")
    if not star or text.startswith(_FILE):
        weight, kind = ("" if in_blend else "1"), text
    weight, kind = weight.strip(), kind.strip()
    if not (_NUMBER.fullmatch(weight) and 0 < float(weight) < math.inf):
        raise UserError(
            f"--class_graph: each part of a blend needs a weight above 0, such as 0.7. "
            f"{_EXAMPLE}. Received: {text!r} in {spec!r}."
        )
    if kind == _FILE:
        raise UserError(f"--class_graph names no file. {_EXAMPLE}. Received: {spec!r}.")
    if not kind.startswith(_FILE) and kind not in _KINDS:
        raise unknown_name("kind of class graph", kind, [*_KINDS, f"{_FILE}FILE"])
    return GraphPart(float(weight), kind)


def class_distances(paths: Sequence[ClassPath], spec: str, encode: Encode) -> np.ndarray:
    """The distance of each two classes.

    Args:
        paths: [K] distinct class paths, names from the top level to the leaf.
        spec: one of these kinds, or a blend of them like "0.7*name+0.3*tree", which is the weighted
            mean of the distances without rescaling.
            "name": 1 - cosine of the embeddings of leaf names (HUSE, eq. 4). If several classes share
            a leaf name, parents are put before it until the names differ.
            "path": 1 - cosine of the concatenated unit-norm embeddings of all levels. Missing levels
            of a shorter path are zero.
            "tree": 1 - Wu-Palmer similarity = 1 - 2 depth(lca) / (depth_i + depth_j). A top level
            has depth 1, the common root depth 0 (Wu and Palmer 1994, eq. 3).
            "hops": number of edges on the shortest path through the tree, divided by the largest
            number between any two classes.
            "file:FILE": distances of the user; see `read_distances`.
        encode: function from n texts to [n, dim] floats, called for "name" and "path" only.

    Returns:
        [K, K] float32, symmetric, with a zero diagonal. In [0, 2] for "name" and "path", in [0, 1] for
        "tree" and "hops".

    Raises:
        UserError: the spec or the file cannot be used.

    Examples:
        >>> paths = [("home", "chairs"), ("home", "lamps"), ("toys",)]
        >>> class_distances(paths, "tree", encode=None).round(2).tolist()
        [[0.0, 0.5, 1.0], [0.5, 0.0, 1.0], [1.0, 1.0, 0.0]]
        >>> vectors = {"chairs": [1.0, 0.0], "lamps": [0.0, 1.0], "toys": [1.0, 0.0]}
        >>> encode = lambda names: np.array([vectors[name] for name in names])
        >>> class_distances(paths, "name", encode).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    distances = np.zeros((len(paths),) * 2)
    for part in parse_class_graph(spec):
        distances += part.weight * _distances(part.kind, paths, encode)
    distances = np.clip((distances + distances.T) / 2, 0.0, None)
    np.fill_diagonal(distances, 0.0)
    return distances.astype(np.float32)


def _distances(kind: str, paths: Sequence[ClassPath], encode: Encode) -> np.ndarray:
    if kind.startswith(_FILE):
        return read_distances(pathlib.Path(kind.removeprefix(_FILE)), paths)
    return _KINDS[kind](paths, encode)


def _by_name(paths: Sequence[ClassPath], encode: Encode) -> np.ndarray:
    return _cosine_distances(encode(unique_names(paths)))


def class_embeddings(paths: Sequence[ClassPath], encode: Encode) -> np.ndarray:
    """[K, dim] float32 unit-norm embeddings of the class names that "name" compares (psi of eq. 4)."""
    embeddings = np.asarray(encode(unique_names(paths)), np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def unique_names(paths: Sequence[ClassPath]) -> list[str]:
    """[K] the shortest unique end of each path: "leaf", "parent leaf", and so on."""
    return [" ".join(end) for end in distinct_ends(paths)]


def _by_path(paths: Sequence[ClassPath], encode: Encode) -> np.ndarray:
    names = sorted({name for path in paths for name in path})
    rows = {name: row for row, name in enumerate(names)}
    units = _unit(encode(names))
    depth = max(map(len, paths))
    levels = np.zeros((len(paths), depth, units.shape[1]))
    for vector, path in zip(levels, paths, strict=True):
        vector[: len(path)] = units[[rows[name] for name in path]]
    return _cosine_distances(levels.reshape(len(paths), -1))


def _by_tree(paths: Sequence[ClassPath], _: Encode) -> np.ndarray:
    # The path between two nodes has depth_i + depth_j - 2 depth(lca) edges.
    depths = np.array([len(path) for path in paths])
    return tree_hops(paths) / (depths[:, None] + depths)


def _by_hops(paths: Sequence[ClassPath], _: Encode) -> np.ndarray:
    hops = tree_hops(paths)
    return hops / max(hops.max(), 1)


def _cosine_distances(vectors: np.ndarray) -> np.ndarray:
    units = _unit(vectors)
    return 1 - units @ units.T


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


_KINDS: dict[str, Callable[[Sequence[ClassPath], Encode], np.ndarray]] = {
    "name": _by_name,
    "path": _by_path,
    "tree": _by_tree,
    "hops": _by_hops,
}
