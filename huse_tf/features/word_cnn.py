"""The text encoder `word_cnn`: sequences of word ids, for a tower that learns word embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from huse_tf.features import words
from huse_tf.features.encoder import Encoder, foreign_state
from huse_tf.spec import FeatureSpec

MAX_WORDS = 20_000


class WordIds(Encoder):
    """Texts -> [batch, tokens] int32: ids of the first words; 0 is padding, 1 an unknown word.

    `word_cnn:TOKENS` sets the number of words that are read, 64 by default. The vocabulary is the 20,000
    most frequent words of the training texts.
    """

    takes_argument = True
    gives_floats = False

    def __init__(self, spec: str = "word_cnn") -> None:
        super().__init__(spec)
        self._tokens = words.count_argument(self.spec, default=64)
        self._layer: keras.layers.TextVectorization | None = None

    def fit(self, texts: Iterable[str]) -> None:
        counts = Counter(chain.from_iterable(words.split(texts)))
        self.restore({"words": words.most_frequent(counts, MAX_WORDS)})

    def state(self) -> dict[str, Any]:
        """Key: words, a list; the word at index i has the id i + 2."""
        return {"words": self._fitted().get_vocabulary(include_special_tokens=False)}

    def restore(self, state: dict[str, Any]) -> None:
        if set(state) != {"words"}:
            raise foreign_state(self, state)
        self._layer = keras.layers.TextVectorization(
            standardize=None,
            output_sequence_length=self._tokens,
            vocabulary=list(state["words"]),
        )

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._tokens,), vocabulary_size=self._fitted().vocabulary_size())

    def _identity(self) -> tuple[str, ...]:
        return (words.VERSION, "word_cnn 1", str(self._tokens))

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        return np.array([len(each) for each in words.split(texts)], int), self._tokens

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._fitted()(words.standardize(inputs)), tf.int32)

    def _fitted(self) -> keras.layers.TextVectorization:
        if self._layer is None:
            raise words.not_fitted(self)
        return self._layer
