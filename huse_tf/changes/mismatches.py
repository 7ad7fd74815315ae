"""Pairs in a batch that do not belong together: another product's image, or another's query."""

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
    """Gives some complete items of a batch another product's image, and tells which in MATCH.

    The other product is any of the training items', and has another text.

    Attributes:
        givers: whose images there are to give.
    """

    def __init__(
        self, share: float, features: Mapping[str, Any], distances: np.ndarray | None
    ) -> None:
        """Looks at the texts of all training items.

        Args:
            share: of the complete items of a batch, in [0, 1].
            features: the training items by key (keys.py); large ones are memory-mapped.
            distances: as of `Givers`; None takes the paper's any other product, and classes the README
                of its released code.
        """
        self._share, self._images = share, features[keys.IMAGE_FEATURES]
        # Of products of one title either image is right.
        titles = text_numbers(features[keys.TEXT_FEATURES])
        self.givers = Givers(features, _complete(features), titles, whole=True, distances=distances)

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        givers = _draw(self.givers, rows, _complete(batch), self._share, generator)
        mismatched = givers != rows
        batch[keys.IMAGE_FEATURES][mismatched] = self._images[givers[mismatched]]
        batch[keys.MATCH] = (~mismatched).astype(np.float32)


class MismatchQueries:
    """Gives some complete items of a batch another product's query, and tells which in MATCH.

    What their texts say of the product stays with its image. Items whose text begins with no query
    neither take nor give one, and weigh nothing: always matched, they would teach that no query is a
    match. A query that a product has itself, in any of its items, it takes from no other either.

    Attributes:
        givers: whose queries there are to give.
    """

    def __init__(
        self,
        share: float,
        features: Mapping[str, Any],
        distances: np.ndarray | None,
        pieces: WordPieces,
    ) -> None:
        """Looks at the queries of all training items; as of `Mismatch`, and what the ids mean."""
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
    """[n] bool."""
    return (np.asarray(features[keys.IMAGE_MASK]) > 0) & (np.asarray(features[keys.TEXT_MASK]) > 0)


def _draw(
    givers: Givers,
    rows: np.ndarray,
    usable: np.ndarray,
    share: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """[batch] the training item that each takes from; itself, but for a share of those that take part.

    Args:
        givers: of the training items.
        rows: [batch] the items of the batch.
        usable: [batch] bool, those that take part.
        share: of these.
        generator: draws.
    """
    taken = rows.copy()
    members = np.flatnonzero(usable)
    for place in generator.permutation(members)[: round(share * len(members))]:
        taken[place] = givers.draw(rows[place], generator)
    return taken
