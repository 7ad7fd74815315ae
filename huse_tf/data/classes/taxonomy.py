"""The classes of a catalogue: paths of names from the top of a tree down, in the order of their labels."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence

import numpy as np

from huse_tf.errors import UserError, unknown_name

ClassPath = tuple[str, ...]
LEVEL_SEPARATOR = "<"  # of class paths in one string; the catalogue's own separator may differ


def path_name(path: ClassPath) -> str:
    """The path as one string, top first: "clothing<tops<blouses"."""
    return LEVEL_SEPARATOR.join(path)


def distinct_ends(paths: Sequence[ClassPath]) -> list[ClassPath]:
    """[n] the shortest end of each path that no other path has; the whole path if there is none."""
    lengths = [1] * len(paths)
    while True:
        ends = [path[-n:] for path, n in zip(paths, lengths, strict=True)]
        counts = collections.Counter(ends)
        longer = [
            n + (counts[end] > 1 and n < len(path))
            for path, n, end in zip(paths, lengths, ends, strict=True)
        ]
        if longer == lengths:
            return ends
        lengths = longer


def tree_hops(paths: Sequence[ClassPath]) -> np.ndarray:
    """[n, n] int32 number of edges on the path through the tree between each two nodes.

    The path goes up to the deepest common ancestor and down again. Top-level nodes meet in a root.
    """
    lengths = np.array([len(path) for path in paths], np.int32)
    hops = lengths[:, None] + lengths
    for depth in range(1, int(lengths.max()) + 1):
        numbers: dict[ClassPath, int] = {}
        nodes = np.array(
            [numbers.setdefault(p[:depth], len(numbers)) if len(p) >= depth else -1 for p in paths]
        )
        hops -= 2 * ((nodes[:, None] == nodes) & (nodes >= 0))
    return hops


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """The K classes of a catalogue, in the order of their labels.

    A node of the tree is identified by its whole path, so equal names under different parents are
    different nodes. A class may be an ancestor of another class. The top-level nodes have a common
    root without a name.

    Attributes:
        classes: the distinct class paths, sorted; the index of a class is its label.
    """

    classes: tuple[ClassPath, ...]

    def __post_init__(self) -> None:
        if list(self.classes) != sorted(set(self.classes)) or not self.classes:
            raise ValueError(
                f"Classes are distinct, sorted, at least one. Received: {self.classes}."
            )
        for path in self.classes:
            if not path or not all(path) or any(LEVEL_SEPARATOR in level for level in path):
                raise ValueError(
                    f"A class path has levels, none empty or with {LEVEL_SEPARATOR!r}. "
                    f"Received: {path}."
                )

    @classmethod
    def from_paths(cls, paths: Iterable[ClassPath]) -> Taxonomy:
        """The taxonomy of the distinct paths.

        Raises:
            ValueError: there is no path, or a level is empty or contains "<".

        Examples:
            >>> taxonomy = Taxonomy.from_paths([("home", "lamps"), ("home", "chairs"), ("toys",)])
            >>> taxonomy.names
            ('chairs', 'lamps', 'toys')
            >>> taxonomy.label(("home", "lamps"))
            1
            >>> taxonomy.tree_hops().tolist()
            [[0, 2, 3], [2, 0, 3], [3, 3, 0]]
        """
        return cls(tuple(sorted(set(paths))))

    @functools.cached_property
    def _labels(self) -> dict[ClassPath, int]:
        return {path: label for label, path in enumerate(self.classes)}

    def find(self, path: ClassPath) -> int | None:
        """The label of a class in [0, K); None for an unknown class."""
        return self._labels.get(path)

    def label(self, path: ClassPath) -> int:
        """The label of a class in [0, K).

        Raises:
            UserError: the class is unknown.
        """
        label = self.find(path)
        if label is None:
            raise unknown_name("class", path_name(path), map(path_name, self.classes))
        return label

    @property
    def depth(self) -> int:
        """Number of levels of the longest class path."""
        return max(map(len, self.classes))

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """[K] distinct names: the last name of each class, preceded by parents where names are equal."""
        return tuple(map(path_name, distinct_ends(self.classes)))

    def level(self, depth: int) -> tuple[str, ...]:
        """[K] the path of each class's ancestor at `depth`, as one string; depth 1 is the top level.

        A class above `depth` gives its own path.
        """
        if depth < 1:
            raise ValueError(f"Levels count from 1, the top. Received: {depth}.")
        return tuple(path_name(path[:depth]) for path in self.classes)

    def tree_hops(self) -> np.ndarray:
        """[K, K] int32 number of edges on the path through the tree between each two classes."""
        return tree_hops(self.classes)

    def correct_sets(self, k: int) -> np.ndarray:
        """hCorrectSet of DeViSE (Frome et al. 2013, section 4.2 and supplement).

        The set of a class holds all classes that are no farther from it, in edges of the tree, than
        its k-th nearest class (itself included). Nodes that are not classes do not count.

        Args:
            k: size of the sets without ties, in [1, K].

        Returns:
            [K, K] bool: row = true class, column = member of its set; at least k True in each row.

        Raises:
            UserError: k is out of range.
        """
        if not 1 <= k <= len(self.classes):
            raise UserError(
                f"Hierarchical precision at k needs k from 1 to the number of classes, "
                f"{len(self.classes)}. Received: {k}. Change --precision_at."
            )
        hops = self.tree_hops()
        return hops <= np.partition(hops, k - 1, axis=1)[:, k - 1 : k]

    def to_json(self) -> str:
        tree = {"classes": [list(path) for path in self.classes]}
        return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Taxonomy:
        """The taxonomy that `to_json` wrote, with the same labels."""
        return cls(tuple(tuple(path) for path in json.loads(text)["classes"]))
