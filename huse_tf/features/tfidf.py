"""The text encoder `tfidf`: weighted bags of words, in which rare words count more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from huse_tf.features import words
from huse_tf.features.encoder import Encoder, foreign_state
from huse_tf.spec import FeatureSpec


class TfIdf(Encoder):
    """Texts -> [batch, words] float32 of unit norm: count * log(1 + texts / (1 + texts with it)).

    `tfidf:N` keeps the N most frequent words of the training texts, 5000 by default. Other words
    are left out; a text without any known word is a row of zeros.
    """

    takes_argument = True

    def __init__(self, spec: str = "tfidf") -> None:
        super().__init__(spec)
        self._max_words = words.count_argument(self.spec, default=5000)
        self._layer: keras.layers.TextVectorization | None = None

    def fit(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        documents: Counter[str] = Counter()
        size = 0
        for text in words.split(texts):
            counts.update(text)
            documents.update(set(text))
            size += 1
        vocabulary = words.most_frequent(counts, self._max_words)
        idf = [math.log(1 + size / (1 + documents[word])) for word in vocabulary]
        self.restore({"words": vocabulary, "idf": idf})

    def state(self) -> dict[str, Any]:
        """Keys: words, idf; lists of the same length."""
        config = self._fitted().get_config()
        return {"words": config["vocabulary"][1:], "idf": config["idf_weights"][1:]}

    def restore(self, state: dict[str, Any]) -> None:
        if set(state) != {"words", "idf"}:
            raise foreign_state(self, state)
        self._layer = keras.layers.TextVectorization(
            standardize=None,
            output_mode="tf_idf",
            vocabulary=["[UNK]", *state["words"]],
            idf_weights=[0.0, *state["idf"]],
        )

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._fitted().vocabulary_size() - 1,))

    def _identity(self) -> tuple[str, ...]:
        return (words.VERSION, "tfidf 1")

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        # Column 0 gathers the unknown words.
        weights = self._fitted()(words.standardize(inputs))[:, 1:]
        return tf.math.l2_normalize(weights, axis=1)

    def _fitted(self) -> keras.layers.TextVectorization:
        if self._layer is None:
            raise words.not_fitted(self)
        return self._layer
