"""What is drawn for a pair scorer in each batch: mismatched pairs, hidden words, hidden patches.

True and mismatched pairs are masked alike, for a [MASK] must not tell which is which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from huse_tf import keys
from huse_tf.data.pipeline import Batch
from huse_tf.data.query_ids import query_lengths, query_numbers, with_queries
from huse_tf.methods.base import WordPieces


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """Gives some complete items the image of another product in the batch, and tells which in MATCH.

    The other product has another text.

    Attributes:
        share: of the complete items, in [0, 1].
        same_class: whether to take the image of an item with a common class where the batch has one
            (the released code's README; the paper says any other product).
    """

    share: float
    same_class: bool

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        # Of products of one title either picture is right.
        groups = batch[keys.PRODUCT], _numbers(batch[keys.TEXT_FEATURES])
        givers = _givers(batch, _complete(batch), groups, self.share, self.same_class, generator)
        mismatched = givers != np.arange(len(givers))
        images = batch[keys.IMAGE_FEATURES]
        images[mismatched] = images[givers[mismatched]]
        batch[keys.MATCH] = (~mismatched).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class MismatchQueries:
    """Gives some complete items the query of another product in the batch, and tells which in MATCH.

    What their texts say of the product stays with its image. Items whose text begins with no query
    neither take nor give one, and weigh nothing: always matched, they would teach that no query is a
    match. One's own query is not taken from another product either.

    Attributes:
        share, same_class: as of `Mismatch`.
        pieces: what the ids mean.
    """

    share: float
    same_class: bool
    pieces: WordPieces

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        ids, end = batch[keys.TEXT_FEATURES], self.pieces.end
        has_query = query_lengths(ids, end) > 0
        batch[keys.WEIGHT] = batch[keys.WEIGHT] * has_query
        usable = _complete(batch) & has_query
        groups = batch[keys.PRODUCT], query_numbers(ids, end)
        givers = _givers(batch, usable, groups, self.share, self.same_class, generator)
        mismatched = givers != np.arange(len(givers))
        ids[mismatched] = with_queries(ids[mismatched], ids[givers[mismatched]], end)
        batch[keys.MATCH] = (~mismatched).astype(np.float32)


def _numbers(texts: np.ndarray) -> np.ndarray:
    """[n] int, equal for equal texts [n, length]."""
    return np.unique(texts, axis=0, return_inverse=True)[1].reshape(-1)


def _complete(batch: Batch) -> np.ndarray:
    """[n] bool."""
    return (batch[keys.IMAGE_MASK] > 0) & (batch[keys.TEXT_MASK] > 0)


def _givers(
    batch: Batch,
    usable: np.ndarray,
    groups: Sequence[np.ndarray],
    share: float,
    same_class: bool,
    generator: np.random.Generator,
) -> np.ndarray:
    """[n] the item that each takes from; itself, but for a share of those that take part.

    Args:
        batch: n items.
        usable: [n] bool, those that take part.
        groups: each [n]; an item takes from none that has a number of its own in any of them.
        share, same_class: as of `Mismatch`.
        generator: draws.
    """
    givers = np.arange(len(usable))
    members = np.flatnonzero(usable)
    for item in generator.permutation(members)[: round(share * len(members))]:
        others = members[np.all([group[members] != group[item] for group in groups], axis=0)]
        alike = others[_share_a_class(batch, item, others)]
        pool = alike if same_class and len(alike) else others
        givers[item] = generator.choice(pool) if len(pool) else item
    return givers


def _share_a_class(batch: Batch, item: int, others: np.ndarray) -> np.ndarray:
    """[others] bool."""
    if keys.LABELS in batch:
        return batch[keys.LABELS][others] @ batch[keys.LABELS][item] > 0
    return batch[keys.LABEL][others] == batch[keys.LABEL][item]


@dataclasses.dataclass(frozen=True)
class HideWords:
    """Puts [MASK] in place of whole words, and what they were into HIDDEN_WORDS.

    Always [MASK], never a random or the same piece, as BERT has it for a fifth of them: those prepare
    for tasks without [MASK], and this model does without another task.

    Attributes:
        share: of the pieces of a text, special ones not counted; of a short text one piece.
        pieces: what the ids mean.
    """

    share: float
    pieces: WordPieces

    def most(self, tokens: int) -> int:
        """The most pieces that are hidden of a text of so many."""
        return max(1, round(self.share * tokens))

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        ids = batch[keys.TEXT_FEATURES]
        hidden = np.zeros((len(ids), self.most(ids.shape[1])), np.int32)
        specials = (0, self.pieces.start, self.pieces.end, self.pieces.mask)
        goes_on = np.isin(ids, list(self.pieces.continuations))
        is_piece = ~np.isin(ids, specials)
        for text, row, continues, known in zip(ids, hidden, goes_on, is_piece, strict=True):
            places = self._draw(np.flatnonzero(known), continues, generator)
            row[: len(places)] = text[places]
            text[places] = self.pieces.mask
        batch[keys.HIDDEN_WORDS] = hidden

    def _draw(
        self, places: np.ndarray, continues: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Places of whole words, ascending; words that would be too many are passed over."""
        if not len(places):
            return places
        # A piece that goes on belongs to the piece before it, unless that is no word's.
        starts = ~continues[places] | (np.diff(places, prepend=-2) > 1)
        words = np.split(places, np.flatnonzero(starts)[1:])
        left = self.most(len(places))
        drawn: list[np.ndarray] = []
        for word in generator.permutation(len(words)):
            if len(words[word]) <= left:
                drawn.append(words[word])
                left -= len(words[word])
        return np.sort(np.concatenate([places[:0], *drawn]))


@dataclasses.dataclass(frozen=True)
class HidePatches:
    """Sets some patches to zero, and tells which and what they were.

    Attributes:
        share: of the patches of a picture, in (0, 1]; one at least.
    """

    share: float

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        features = batch[keys.IMAGE_FEATURES]
        count = max(1, round(self.share * features.shape[1]))
        order = generator.random(features.shape[:2]).argsort(axis=1)
        places = order[:, :count].astype(np.int32)
        batch[keys.HIDDEN_PATCHES] = places
        batch[keys.PATCH_TARGETS] = np.take_along_axis(features, places[:, :, np.newaxis], axis=1)
        np.put_along_axis(features, places[:, :, np.newaxis], 0, axis=1)
