"""Changes of a batch that drop words or text columns in training."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.changes.text_augmentation import drop_fields, drop_tokens
from huse_tf.data.pipeline import Batch
from huse_tf.data.table.text import join_columns

_REMEMBERED = 50_000  # texts whose features stay in memory: the same columns are dropped repeatedly


def _seed(generator: np.random.Generator) -> tf.Tensor:
    return tf.constant(generator.integers(2**31, size=2), tf.int32)


@dataclasses.dataclass(frozen=True)
class TokenDropout:
    """Drops words of texts that are word ids.

    Attributes:
        rate: probability of dropping each word, in [0, 1].
    """

    rate: float

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        ids = tf.constant(batch[keys.TEXT_FEATURES])
        batch[keys.TEXT_FEATURES] = drop_tokens(ids, self.rate, _seed(generator)).numpy()


class FieldDropout:
    """Drops text columns and encodes the remaining ones."""

    def __init__(
        self,
        rate: float,
        fields: Sequence[tuple[str, ...]],
        encode: Callable[[tf.Tensor], tf.Tensor],
        separator: str = "",
    ) -> None:
        """Prepares the change.

        Args:
            rate: probability of dropping each column, in [0, 1].
            fields: [items] texts of each item's columns.
            encode: the text encoder, from [n] string to [n, ...] features.
            separator: separator of columns (`data.table.text.join_columns`).
        """
        self._separator = separator
        self._rate, self._fields = rate, np.array([list(texts) for texts in fields], object)
        self._encode = tf.function(encode, input_signature=[tf.TensorSpec([None], tf.string)])
        self._known: collections.OrderedDict[str, np.ndarray] = collections.OrderedDict()

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        whole = self._fields[rows]
        left = drop_fields(
            tf.constant(whole.tolist(), tf.string), self._rate, _seed(generator)
        ).numpy()
        texts = [
            join_columns([field.decode() for field in fields], self._separator) for fields in left
        ]
        changed = [
            place
            for place, (text, fields) in enumerate(zip(texts, whole, strict=True))
            if text != join_columns(fields, self._separator)
        ]
        self._learn(dict.fromkeys(texts[place] for place in changed))
        for place in changed:
            batch[keys.TEXT_FEATURES][place] = self._known[texts[place]]
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _learn(self, texts: dict[str, None]) -> None:
        """Encodes the texts that are not in memory."""
        new = [text for text in texts if text not in self._known]
        if new:
            self._known.update(zip(new, self._encode(tf.constant(new)).numpy(), strict=True))
