"""Encodes each text column separately, for models that treat text columns as modalities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder
from huse_tf.spec import SEPARATOR, FeatureSpec


class Fields(Encoder):
    """Texts of several columns -> [batch, columns * dim] float32, one block of dim numbers per column.

    `fields:COLUMNS:ENCODER`, such as fields:2:minilm, reads texts that were joined with
    --text_separator=[SEP]. The block of an empty column is zero. A surplus [SEP] is part of the last
    column.
    """

    takes_argument = True
    separator = SEPARATOR

    @classmethod
    def inner(cls, spec: str) -> str:
        return _parsed(spec)[1]

    def __init__(self, spec: str, each: Encoder) -> None:
        super().__init__(spec)
        count, _ = _parsed(spec)
        self._count, self._each = count, each
        if not self._each.gives_floats:
            raise UserError(
                f"{each.spec!r} gives word ids, but the encoder fields needs float features. Expected "
                f"another encoder, such as fields:{count}:minilm. Received: {spec!r}."
            )

    @property
    def feature_spec(self) -> FeatureSpec:
        (dim,) = self._each.feature_spec.shape
        return FeatureSpec((self._count * dim,), fields=self._count)

    def _identity(self) -> tuple[str, ...]:
        return (str(self._count), self._each.fingerprint)

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        columns = self._columns(inputs)
        features = self._each(columns)
        features = tf.where(tf.strings.length(columns)[:, tf.newaxis] > 0, features, 0.0)
        return tf.reshape(features, (-1, *self.feature_spec.shape))

    def _columns(self, texts: tf.Tensor) -> tf.Tensor:
        """[batch] string -> [batch * columns] string, the columns of one text after the other."""
        parts = tf.strings.split(texts, SEPARATOR, maxsplit=self._count - 1)
        padded = parts.to_tensor("", shape=(None, self._count))
        return tf.strings.strip(tf.reshape(padded, (-1,)))

    def vocabulary(self) -> Sequence[str]:
        return self._each.vocabulary()

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int] | None:
        """Counts the tokens of each text's longest column."""
        columns = self._columns(tf.constant(list(texts), tf.string)).numpy()
        counted = self._each.token_counts([column.decode() for column in columns])
        if counted is None:
            return None
        counts, limit = counted
        return counts.reshape(-1, self._count).max(axis=1), limit

    def fit(self, texts: Iterable[str]) -> None:
        self._each.fit(_Columns(texts, self._count))

    def state(self) -> dict[str, Any]:
        return self._each.state()

    def restore(self, state: dict[str, Any]) -> None:
        self._each.restore(state)


def _parsed(spec: str) -> tuple[int, str]:
    """(number of columns, spec of their encoder)."""
    _, count, inner = [*spec.split(":", 2), "", ""][:3]
    if not (count.isdecimal() and int(count) > 1 and inner):
        raise UserError(
            "The text encoder fields takes the number of text columns, two or more, and their encoder, "
            f"such as fields:2:minilm. Received: {spec!r}."
        )
    return int(count), inner


class _Columns:
    """The non-empty columns of all texts; can be iterated over repeatedly."""

    def __init__(self, texts: Iterable[str], count: int) -> None:
        self._texts, self._count = texts, count

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            columns = (column.strip() for column in text.split(SEPARATOR, self._count - 1))
            yield from filter(None, columns)
