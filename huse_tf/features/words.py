"""Splits texts into words in TensorFlow ops, for `tfidf`, `word_cnn` and `skip_gram`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder

# Part of the fingerprint of these encoders. Raise the number whenever words change.
VERSION = "words 1"

_CHUNK = 4096  # texts that are in memory at once


def standardize(texts: tf.Tensor) -> tf.Tensor:
    """[batch] UTF-8 -> [batch] words in lower case with single spaces between them.

    All characters but letters and digits (of any script) separate words: "Sofa,red (2-seat)" becomes
    "sofa red 2 seat". Keras's own standardisation deletes punctuation, and would give "sofared".
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
    """The `limit` most frequent words, in descending order of frequency, on ties by alphabet.

    Raises:
        UserError: there are no words.
    """
    if not counts:
        raise UserError(
            "The training texts hold no words, so there is no vocabulary to learn. Check "
            "--text_columns."
        )
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]


def count_argument(spec: str, default: int) -> int:
    """NUMBER of an encoder's spec `NAME:NUMBER`, or the default for `NAME`.

    Raises:
        UserError: NUMBER is not a positive integer.
    """
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
    """The error for an encoder that is used before `fit`."""
    return UserError(
        f"{encoder.spec!r} has no vocabulary yet. Expected a call of `fit` with the training texts, or "
        "the state from a run folder."
    )
