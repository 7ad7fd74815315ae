"""Makes mismatched pairs in a batch: items with another product's image, or with another product's query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from huse_tf import keys
from huse_tf.changes.givers import Givers
from huse_tf.changes.query_ids import query_lengths, query_numbers, text_numbers, with_queries
from huse_tf.data.pipeline import Batch
from huse_tf.spec import WordPieces


class Mismatch:
    """Replaces the image of some complete items of a batch by that of another product.

    The other product is any product of the training items with another text. MATCH receives 1 for a true
    pair and 0 for a mismatched one.

    Attributes:
        givers: the training items, to draw images from.
    """

    def __init__(
        self, share: float, features: Mapping[str, Any], distances: np.ndarray | None
    ) -> None:
        """Codes the texts of all training items.

        Args:
            share: share of the complete items of a batch that are mismatched, in [0, 1].
            features: features of the training items by key (keys.py); large ones are memory-mapped.
            distances: [K, K] distances of classes, to draw from the item's own class, as the README of
                FashionBERT's released code says; None draws from any class, as the paper says.
        """
        self._share, self._images = share, features[keys.IMAGE_FEATURES]
        # Between products with one title, either image is right.
        titles = text_numbers(features[keys.TEXT_FEATURES])
        self.givers = Givers(features, _complete(features), titles, whole=True, distances=distances)

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        givers = _draw(self.givers, rows, _complete(batch), self._share, generator)
        mismatched = givers != rows
        batch[keys.IMAGE_FEATURES][mismatched] = self._images[givers[mismatched]]
        batch[keys.MATCH] = (~mismatched).astype(np.float32)


class MismatchQueries:
    """Replaces the query of some complete items of a batch by that of another product.

    The rest of an item's text stays with its image. MATCH receives 1 for a true pair and 0 for a
    mismatched one. Items without a query neither take nor give one, and get weight 0: they would always
    be true pairs, and teach that a missing query is a match. A product takes no query that one of its own
    items has.

    Attributes:
        givers: the training items, to draw queries from.
    """

    def __init__(
        self,
        share: float,
        features: Mapping[str, Any],
        distances: np.ndarray | None,
        pieces: WordPieces,
    ) -> None:
        """Codes the queries of all training items.

        Args:
            share: share of the complete items with a query that are mismatched, in [0, 1].
            features: features of the training items by key (keys.py); large ones are memory-mapped.
            distances: [K, K] distances of classes, to draw from the item's own class; None draws from
                any class.
            pieces: special ids of the texts.
        """
        self._share, self._end = share, pieces.end
        self._texts = features[keys.TEXT_FEATURES]
        queries = query_numbers(self._texts, self._end)
        usable = _complete(features) & (queries >= 0)
        self.givers = Givers(features, usable, queries, whole=False, distances=distances)

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        ids = batch[keys.TEXT_FEATURES]
        has_query = query_lengths(ids, self._end) > 0
        batch[keys.WEIGHT] = batch[keys.WEIGHT] * has_query
        usable = _complete(batch) & has_query
        givers = _draw(self.givers, rows, usable, self._share, generator)
        mismatched = givers != rows
        others = self._texts[givers[mismatched]]
        ids[mismatched] = with_queries(ids[mismatched], others, self._end)
        batch[keys.MATCH] = (~mismatched).astype(np.float32)


def _complete(features: Mapping[str, Any]) -> np.ndarray:
    """[n] bool, items with an image and a text."""
    return (np.asarray(features[keys.IMAGE_MASK]) > 0) & (np.asarray(features[keys.TEXT_MASK]) > 0)


def _draw(
    givers: Givers,
    rows: np.ndarray,
    usable: np.ndarray,
    share: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """[batch] int index of each item's giver; the item itself if it is not mismatched.

    Args:
        givers: the training items.
        rows: [batch] int indices of the batch's items.
        usable: [batch] bool, items that may be mismatched.
        share: share of the usable items to mismatch.
        generator: source of randomness.
    """
    taken = rows.copy()
    members = np.flatnonzero(usable)
    for place in generator.permutation(members)[: round(share * len(members))]:
        taken[place] = givers.draw(rows[place], generator)
    return taken
