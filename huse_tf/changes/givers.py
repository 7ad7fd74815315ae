"""Which other product gives an item its image or its query, that the two make a mismatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from huse_tf import keys

_FIRST = 64  # items that are looked at before all of a class: one of them nearly always may give


class Givers:
    """Draws from all training items, for a batch seldom has another product of the class.

    A product takes nothing from itself, nor from one with a text of its own, for that is no mismatch.
    Of the products that may give each is as likely as the others, and of its items each.
    """

    def __init__(
        self,
        features: Mapping[str, Any],
        usable: np.ndarray,
        texts: np.ndarray,
        *,
        whole: bool,
        distances: np.ndarray | None,
    ) -> None:
        """Sorts the items.

        Args:
            features: n training items by key (keys.py); of them PRODUCT, and LABEL or LABELS.
            usable: [n] bool, the items that may give.
            texts: [n] int, equal for equal texts, or equal queries; -1 where there is none.
            whole: whether a product that shares a text with the taker gives none of its items (its
                image, for either title would suit it), or just those with that text gives nothing
                (its queries).
            distances: [K, K] of classes: a product of the item's class gives, of several classes one
                of them drawn. Where no product of these may, one of the nearest class does that has
                one that may; of equally near classes the first. None: any class.
        """
        self._products = np.asarray(features[keys.PRODUCT])
        self._texts, self._whole, self._distances = texts, whole, distances
        self._labels = features[keys.LABELS if keys.LABELS in features else keys.LABEL]
        self._of_product, self._of_text = _Index(self._products), _Index(texts)
        members = np.flatnonzero(usable)
        # Sorted by product, and so is every class of them.
        self._members = members[np.argsort(self._products[members], kind="stable")]
        if self._labels.ndim == 1:
            self._of_class = _Index(self._labels[self._members], self._members)
        else:
            places, classes = np.nonzero(self._labels[self._members])
            self._of_class = _Index(classes, self._members[places])

    def draw(self, item: int, generator: np.random.Generator) -> int:
        """The item that gives to this one, both of the n; itself where none may."""
        for pool in self._pools(item, generator):
            items = pool[self._may_give(self._products[item], pool)]
            if len(items):
                starts = np.flatnonzero(np.diff(self._products[items], prepend=-1))
                place = generator.integers(len(starts))
                end = [*starts, len(items)][place + 1]
                return int(items[generator.integers(starts[place], end)])
        return item

    def of_own_class(self) -> np.ndarray:
        """[n] bool: the usable items that a product of their own class may give to."""
        known: dict[tuple[int, int], bool] = {}
        found = np.zeros(len(self._products), bool)
        for item in self._members:
            product = self._products[item]
            for label in self._classes(item):
                if (product, label) not in known:
                    pool = self._of_class[label]
                    known[product, label] = any(
                        self._may_give(product, some).any() for some in (pool[:_FIRST], pool)
                    )
                found[item] |= known[product, label]
        return found

    def told(self) -> str:
        """A sentence on how many items there is no mismatch of their own class for."""
        if self._distances is None:
            return "Mismatched pairs take from products of any class."
        count = len(self._members)
        others = count - int(self.of_own_class().sum())
        return (
            f"Mismatched pairs take from another product of their class; {others} of {count} items "
            f"({others / max(count, 1):.1%}) find none there, and take from the nearest class."
        )

    def _pools(self, item: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Items, sorted by product: of one that may give in the first of them, the others are not asked."""
        if self._distances is None:
            yield self._members
            return
        own = self._classes(item)
        for label in generator.permutation(own):
            yield self._of_class[label]
        nearest = np.argsort(self._distances[own].min(axis=0), kind="stable")
        for label in nearest[~np.isin(nearest, own)]:
            yield self._of_class[label]

    def _classes(self, item: int) -> np.ndarray:
        labels = self._labels[item]
        return np.flatnonzero(labels) if np.ndim(labels) else np.array([labels])

    def _may_give(self, product: int, items: np.ndarray) -> np.ndarray:
        """[items] bool."""
        texts = np.unique(self._texts[self._of_product[product]])
        texts = texts[texts >= 0]
        if self._whole:
            kin = [self._products[self._of_text[text]] for text in texts]
            return ~np.isin(self._products[items], np.concatenate([[product], *kin]))
        return (self._products[items] != product) & ~np.isin(self._texts[items], texts)


class _Index:
    """Where each number stands."""

    def __init__(self, numbers: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Takes numbers [m], and what their places are called, [m]; by default 0, 1, 2 …"""
        rows = np.arange(len(numbers)) if rows is None else rows
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._rows = numbers[order], rows[order]

    def __getitem__(self, number: int) -> np.ndarray:
        """The rows with this number, in the order given."""
        return self._rows[slice(*np.searchsorted(self._numbers, [number, number + 1]))]
