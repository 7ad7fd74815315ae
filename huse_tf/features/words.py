"""Texts -> words, in TensorFlow ops: what counts as a word for `tfidf` and `word_cnn`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder

# Part of the fingerprint of the encoders that use it: to be raised whenever words change.
VERSION = "words 1"

_CHUNK = 4096  # texts that are in memory at once


def standardize(texts: tf.Tensor) -> tf.Tensor:
    """[batch] UTF-8 -> [batch] words with single spaces between them, in lower case.

    All but letters and digits (of any script) parts words: "Sofa,red (2-seat)" -> "sofa red 2 seat".
    Keras's own standardisation deletes punctuation, and would make "sofared" of the first two.
    """
    lower = tf.strings.lower(texts, encoding="utf-8")
    return tf.strings.strip(tf.strings.regex_replace(lower, r"[^\p{L}\p{M}\p{N}]+", " "))


def split(texts: Iterable[str]) -> Iterator[list[str]]:
    """The words of each text."""
    remaining = iter(texts)
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        ragged = tf.strings.split(standardize(tf.constant(chunk, tf.string)))
        yield from ([word.decode() for word in words] for words in ragged.to_list())


def most_frequent(counts: Counter[str], limit: int) -> list[str]:
    """The `limit` most frequent words, the most frequent first, ties by alphabet.

    Raises:
        UserError: there is no word.
    """
    if not counts:
        raise UserError(
            "The training texts hold no words, so there is no vocabulary to learn. Check "
            "--text_columns."
        )
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]


def count_argument(spec: str, default: int) -> int:
    """The positive number that stands as the argument of an encoder's spec, `NAME:NUMBER`."""
    name, _, argument = spec.partition(":")
    if not argument:
        return default
    if not argument.isdecimal() or int(argument) == 0:
        raise UserError(
            f"The argument of {name!r} is a positive number. Expected, for instance, "
            f"{name}:{default}. Received: {spec!r}."
        )
    return int(argument)


def not_fitted(encoder: Encoder) -> UserError:
    """The error for using an encoder without vocabulary."""
    return UserError(
        f"{encoder.spec!r} has no vocabulary yet. Expected `fit` with the training texts, or the "
        "state that a run folder holds."
    )
