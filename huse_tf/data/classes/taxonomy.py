"""The class tree: paths of names from the top down; the classes' order is the label vocabulary."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence

import numpy as np

from huse_tf.errors import UserError, unknown_name

ClassPath = tuple[str, ...]
LEVEL_SEPARATOR = "<"  # of class paths written as one string, whatever the catalogue uses


def path_name(path: ClassPath) -> str:
    """The path as one string, top first: "clothing<tops<blouses"."""
    return LEVEL_SEPARATOR.join(path)


def distinct_ends(paths: Sequence[ClassPath]) -> list[ClassPath]:
    """[n] the shortest end of each path that no other has; all of a path that ends another one."""
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
    """[n, n] int32 number of is-a edges, walked up or down, between each two nodes of a tree.

    Up from each to the deepest node above both and down again; top-level nodes meet in a root.
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

    A node of the tree is known by its whole path, so equal names under different parents are
    different nodes. A class may lie above another one. Top-level nodes hang on a common root, which
    has no name.

    Attributes:
        classes: the sorted, distinct class paths; a class's place is its label.
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
        """The classes that occur among `paths`."""
        return cls(tuple(sorted(set(paths))))

    @functools.cached_property
    def _labels(self) -> dict[ClassPath, int]:
        return {path: label for label, path in enumerate(self.classes)}

    def find(self, path: ClassPath) -> int | None:
        """The label of a class, or None where the vocabulary does not have it."""
        return self._labels.get(path)

    def label(self, path: ClassPath) -> int:
        """The label of a class.

        Raises:
            UserError: the vocabulary does not have it.
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
        """[K] last names of the classes; where they are equal, with as many parents as it takes."""
        return tuple(map(path_name, distinct_ends(self.classes)))

    def level(self, depth: int) -> tuple[str, ...]:
        """[K] each class's ancestor at `depth`, as a path in one string; depth 1 is the top.

        A class that lies above `depth` stands for itself.
        """
        if depth < 1:
            raise ValueError(f"Levels count from 1, the top. Received: {depth}.")
        return tuple(path_name(path[:depth]) for path in self.classes)

    def tree_hops(self) -> np.ndarray:
        """[K, K] int32 number of is-a edges between each two classes."""
        return tree_hops(self.classes)

    def correct_sets(self, k: int) -> np.ndarray:
        """hCorrectSet of DeViSE (Frome et al. 2013, section 4.2 and supplement).

        The rings of nodes 0, 1, 2 … is-a edges around the true class are united, each ring whole,
        until the union has at least k classes; so it is all classes that are no farther than the
        k-th nearest. Nodes that are no classes are walked through and do not count.

        Args:
            k: in [1, K].

        Returns:
            [K, K] bool: row = true class, column = class in its set; at least k in each row.
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
        """The taxonomy that `to_json` wrote; labels stay what they were."""
        return cls(tuple(tuple(path) for path in json.loads(text)["classes"]))
