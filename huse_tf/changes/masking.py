"""What a pair scorer is to guess in each batch: words and patches that are hidden.

True and mismatched pairs are masked alike, for a [MASK] must not tell which is which.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from huse_tf import keys
from huse_tf.data.pipeline import Batch
from huse_tf.spec import WordPieces

# Shares of the chosen words, BERT's; the rest is left as it is.
_MASKED, _REPLACED = 0.8, 0.1


@dataclasses.dataclass(frozen=True)
class HideWords:
    """Chooses whole words of each text to be guessed, as BERT does, and hides most of them.

    Of ten chosen words eight become [MASK], piece by piece; one becomes other pieces, any of the vocabulary;
    and one stays as it is, so that the stream may trust no word. What they were goes into HIDDEN_WORDS;
    where they stand is told by the sign: their ids in TEXT_FEATURES become negative.

    Attributes:
        share: of the pieces of a text, special ones not counted; of a short text one piece.
        pieces: what the ids mean.
        vocabulary_size: number of ids.
    """

    share: float
    pieces: WordPieces
    vocabulary_size: int

    def most(self, tokens: int) -> int:
        """The most pieces that are chosen of a text of so many."""
        return max(1, round(self.share * tokens))

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        ids = batch[keys.TEXT_FEATURES]
        chosen = np.zeros((len(ids), self.most(ids.shape[1])), np.int32)
        goes_on = np.isin(ids, list(self.pieces.continuations))
        is_piece = ~np.isin(ids, self._specials)
        for text, row, continues, known in zip(ids, chosen, goes_on, is_piece, strict=True):
            words = self._choose(np.flatnonzero(known), continues, generator)
            places = np.sort(np.concatenate([np.zeros(0, int), *words]))
            row[: len(places)] = text[places]
            for word in words:
                text[word] = -self._instead(text[word], generator)
        batch[keys.HIDDEN_WORDS] = chosen

    @property
    def _specials(self) -> tuple[int, ...]:
        return (0, self.pieces.start, self.pieces.end, self.pieces.mask)

    @functools.cached_property
    def _ordinary(self) -> np.ndarray:
        """Ids of all pieces that may stand in a text."""
        return np.setdiff1d(np.arange(self.vocabulary_size), self._specials)

    def _choose(
        self, places: np.ndarray, continues: np.ndarray, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """The places of each chosen word; words that would be too many are passed over."""
        # A piece that goes on belongs to the piece before it, unless that is no word's.
        starts = ~continues[places] | (np.diff(places, prepend=-2) > 1)
        words = np.split(places, np.flatnonzero(starts))[1:]
        left = self.most(len(places))
        chosen: list[np.ndarray] = []
        for word in generator.permutation(len(words)):
            if len(words[word]) <= left:
                chosen.append(words[word])
                left -= len(words[word])
        return chosen

    def _instead(self, word: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The ids that the stream sees in place of a chosen word's."""
        chance = generator.random()
        if chance < _MASKED:
            return np.full_like(word, self.pieces.mask)
        if chance < _MASKED + _REPLACED:
            return generator.choice(self._ordinary, len(word))
        return word


@dataclasses.dataclass(frozen=True)
class HidePatches:
    """Sets some patches to zero, and tells which and what they were.

    Attributes:
        share: of the patches of an image, in (0, 1]; one at least.
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
