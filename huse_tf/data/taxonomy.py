"""The class tree: paths of names from the top down; the classes' order is the label vocabulary."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Iterable

import numpy as np

from huse_tf.errors import UserError, unknown_name

ClassPath = tuple[str, ...]
LEVEL_SEPARATOR = "<"  # of class paths written as one string, whatever the catalogue uses


def path_name(path: ClassPath) -> str:
    """The path as one string, top first: "clothing<tops<blouses"."""
    return LEVEL_SEPARATOR.join(path)


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
        lengths = [1] * len(self.classes)
        while True:
            names = [path_name(p[-n:]) for p, n in zip(self.classes, lengths, strict=True)]
            counts = collections.Counter(names)
            longer = [n + (counts[name] > 1) for n, name in zip(lengths, names, strict=True)]
            if longer == lengths:
                return tuple(names)
            lengths = longer

    def level(self, depth: int) -> tuple[str, ...]:
        """[K] each class's ancestor at `depth`, as a path in one string; depth 1 is the top.

        A class that lies above `depth` stands for itself.
        """
        if depth < 1:
            raise ValueError(f"Levels count from 1, the top. Received: {depth}.")
        return tuple(path_name(path[:depth]) for path in self.classes)

    def tree_hops(self) -> np.ndarray:
        """[K, K] int32 number of is-a edges, walked up or down, between each two classes."""
        lengths = np.array([len(path) for path in self.classes], np.int32)
        shared = np.zeros((len(self.classes),) * 2, np.int32)
        for depth in range(1, self.depth + 1):
            ids = np.unique(np.array(self.level(depth)), return_inverse=True)[1]
            reached = lengths >= depth
            shared += (ids[:, None] == ids) & reached[:, None] & reached
        return lengths[:, None] + lengths - 2 * shared

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
