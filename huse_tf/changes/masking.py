"""Hides words and patches of each batch for a pair scorer to guess.

True and mismatched pairs are masked in the same way, so that [MASK] does not show whether a pair is true.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from huse_tf import keys
from huse_tf.data.pipeline import Batch
from huse_tf.spec import WordPieces

# Shares of the chosen words, as in BERT. The rest of the chosen words stays unchanged.
_MASKED, _REPLACED = 0.8, 0.1


@dataclasses.dataclass(frozen=True)
class HideWords:
    """Chooses random whole words of each text as targets, and hides most of them, as BERT does.

    Of the chosen words 80 % become [MASK], piece by piece, 10 % become random pieces of the vocabulary,
    and 10 % stay unchanged, so that the model cannot trust any word. HIDDEN_WORDS receives the original
    ids. In TEXT_FEATURES the ids of chosen words are negative, which marks their positions.

    Attributes:
        share: largest share of a text's pieces that are chosen, special pieces not counted; at least one
            piece. A word with more pieces than are left to choose is skipped. So a short text whose words
            all have several pieces may keep all its words.
        pieces: special ids, and the ids that continue a word.
        vocabulary_size: number of ids.
    """

    share: float
    pieces: WordPieces
    vocabulary_size: int

    def most(self, tokens: int) -> int:
        """Largest number of pieces that are chosen of a text of `tokens` pieces."""
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
        """Ids of all pieces but the special ones."""
        return np.setdiff1d(np.arange(self.vocabulary_size), self._specials)

    def _choose(
        self, places: np.ndarray, continues: np.ndarray, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """The places of each chosen word. Words with more pieces than are left to choose are skipped."""
        # A continuation belongs to the piece before it, unless a special piece stands between them.
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
        """The ids that the model sees in place of a chosen word."""
        chance = generator.random()
        if chance < _MASKED:
            return np.full_like(word, self.pieces.mask)
        if chance < _MASKED + _REPLACED:
            return generator.choice(self._ordinary, len(word))
        return word


@dataclasses.dataclass(frozen=True)
class HidePatches:
    """Sets random patches to zero. HIDDEN_PATCHES receives their places, PATCH_TARGETS their features.

    Attributes:
        share: share of an image's patches, in (0, 1]; at least one patch.
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
