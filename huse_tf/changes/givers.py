"""Chooses the product whose image or query an item gets, to make a mismatched pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from huse_tf import keys

_FIRST = (
    64  # items of a class that are tried before all of them: one of these nearly always may give
)


class Givers:
    """Draws a giver for an item: an item of another product whose image or query replaces its own.

    Givers are drawn from all training items, because a batch seldom has another product of the class. A
    product takes nothing from itself or from a product with an equal text, because the result would be a
    true pair. A giver is drawn uniformly by product, then uniformly among the product's items.
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
        """Sorts the items by product, text and class.

        Args:
            features: features of the n training items by key (keys.py); uses PRODUCT, and LABEL or
                LABELS.
            usable: [n] bool, items that may give.
            texts: [n] int code of each text or query, equal for equal ones; -1 for a missing one.
            whole: True: no item of a product that shares a text with the taker may give (for images,
                because either title fits them). False: only items with that text may not (for queries).
            distances: [K, K] distances of classes. The giver is of the item's class, or of one of its
                classes at random. If no item there may give, it is of the nearest class with an item
                that may, on ties the class with the smaller label. None: any class.
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
        """The giver of an item, both as index in [0, n); the item itself if no item may give."""
        for pool in self._pools(item, generator):
            items = pool[self._may_give(self._products[item], pool)]
            if len(items):
                starts = np.flatnonzero(np.diff(self._products[items], prepend=-1))
                place = generator.integers(len(starts))
                end = [*starts, len(items)][place + 1]
                return int(items[generator.integers(starts[place], end)])
        return item

    def of_own_class(self) -> np.ndarray:
        """[n] bool: usable items with a possible giver in their own class."""
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
        """A sentence for the log: how many items have no giver in their own class."""
        if self._distances is None:
            return "Mismatched pairs combine products of any classes."
        count = len(self._members)
        others = count - int(self.of_own_class().sum())
        return (
            f"Mismatched pairs combine products of one class; for {others} of {count} items "
            f"({others / max(count, 1):.1%}) the other product is of the nearest class, for want of one."
        )

    def _pools(self, item: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Items to draw from, sorted by product. A later pool is used only if no item before it may give."""
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
        """[items] bool, items that may give to the product."""
        texts = np.unique(self._texts[self._of_product[product]])
        texts = texts[texts >= 0]
        if self._whole:
            kin = [self._products[self._of_text[text]] for text in texts]
            return ~np.isin(self._products[items], np.concatenate([[product], *kin]))
        return (self._products[items] != product) & ~np.isin(self._texts[items], texts)


class _Index:
    """Number -> rows that have it."""

    def __init__(self, numbers: np.ndarray, rows: np.ndarray | None = None) -> None:
        """Takes the number [m] of each row, and the rows' indices [m], by default 0, 1, 2 and so on."""
        rows = np.arange(len(numbers)) if rows is None else rows
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._rows = numbers[order], rows[order]

    def __getitem__(self, number: int) -> np.ndarray:
        """The rows with this number, in the given order."""
        return self._rows[slice(*np.searchsorted(self._numbers, [number, number + 1]))]
