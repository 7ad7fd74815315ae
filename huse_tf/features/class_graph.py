"""How far apart two classes are: the adjacency matrix A of the semantic graph (HUSE, eq. 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from huse_tf.errors import unknown_name

Path = tuple[str, ...]
Encode = Callable[[list[str]], np.ndarray]


def class_distances(
    paths: Sequence[Path], kind: Literal["name", "path", "tree"], encode: Encode
) -> np.ndarray:
    """Distance of each two classes.

    Args:
        paths: [K] distinct class paths, names from the top level to the leaf.
        kind: "name": 1 - cosine of the leaf names' embeddings (HUSE, eq. 4: there a class has a
            name only). A leaf name that several classes share is embedded together with as many of
            its parents as tell it apart, so that no two classes are at distance 0 by their name.
            "path": 1 - cosine of the concatenated unit-norm embeddings of all levels; levels that
            a shorter path lacks are zero.
            "tree": 1 - Wu-Palmer similarity, 1 - 2 depth(lca) / (depth_i + depth_j), where a top
            level has depth 1 and classes of different top levels meet at depth 0 (Wu and Palmer
            1994, eq. 3).
        encode: list of n texts -> [n, dim] floats, not needed for "tree".

    Returns:
        [K, K] float32, symmetric, zero on the diagonal; in [0, 2] by cosine, [0, 1] by tree.

    Raises:
        UserError: unknown kind.
    """
    kinds: dict[str, Callable[[Sequence[Path], Encode], np.ndarray]] = {
        "name": _by_name,
        "path": _by_path,
        "tree": _by_tree,
    }
    if kind not in kinds:
        raise unknown_name("kind of class graph", kind, kinds)
    distances = kinds[kind](paths, encode)
    distances = np.clip((distances + distances.T) / 2, 0.0, None)
    np.fill_diagonal(distances, 0.0)
    return distances.astype(np.float32)


def _by_name(paths: Sequence[Path], encode: Encode) -> np.ndarray:
    return _cosine_distances(encode(unique_names(paths)))


def unique_names(paths: Sequence[Path]) -> list[str]:
    """The shortest end of each path that no other path has: leaf, "parent leaf", and so on."""
    names = []
    for path in paths:
        for length in range(1, len(path) + 1):
            if sum(other[-length:] == path[-length:] for other in paths) == 1:
                break
        names.append(" ".join(path[-length:]))
    return names


def _by_path(paths: Sequence[Path], encode: Encode) -> np.ndarray:
    names = sorted({name for path in paths for name in path})
    rows = {name: row for row, name in enumerate(names)}
    units = _unit(encode(names))
    depth = max(map(len, paths))
    levels = np.zeros((len(paths), depth, units.shape[1]))
    for vector, path in zip(levels, paths, strict=True):
        vector[: len(path)] = units[[rows[name] for name in path]]
    return _cosine_distances(levels.reshape(len(paths), -1))


def _by_tree(paths: Sequence[Path], _: Encode) -> np.ndarray:
    distances = np.zeros((len(paths), len(paths)))
    for i, one in enumerate(paths):
        for j, other in enumerate(paths):
            common = next(
                (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
                min(len(one), len(other)),
            )
            distances[i, j] = 1 - 2 * common / (len(one) + len(other))
    return distances


def _cosine_distances(vectors: np.ndarray) -> np.ndarray:
    units = _unit(vectors)
    return 1 - units @ units.T


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
