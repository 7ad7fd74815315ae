"""Ids of texts that begin with a query: [CLS] query [SEP] what is said of the product [SEP], 0 padding.

A text without a second [SEP] is a query alone; a product is then its image alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

_CHUNK = 4096  # texts that are read at once


def query_lengths(ids: np.ndarray, end: int) -> np.ndarray:
    """[n] number of pieces of each query; 0 where there is none, or -1 where there is no text.

    Args:
        ids: [n, length].
        end: the id of [SEP].
    """
    return (ids == end).argmax(axis=1) - 1


def query_numbers(ids: np.ndarray, end: int) -> np.ndarray:
    """[n] int, equal for equal queries, -1 where there is none; arguments as of `query_lengths`."""

    def queries(texts: np.ndarray) -> np.ndarray:
        lengths = query_lengths(texts, end)[:, np.newaxis]
        return np.where((np.arange(texts.shape[1]) <= lengths) & (lengths > 0), texts, 0)

    return _numbers(ids, queries)


def text_numbers(ids: np.ndarray) -> np.ndarray:
    """[n] int, equal for equal texts [n, length], -1 where there is none."""
    return _numbers(ids, lambda texts: texts)


def _numbers(ids: np.ndarray, part: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """[n] int from 0 by what `part` leaves of texts, -1 for zeros; `ids` may lie on disk."""
    numbers: dict[bytes, int] = {}
    found = np.full(len(ids), -1)
    for start in range(0, len(ids), _CHUNK):
        texts = part(np.asarray(ids[start : start + _CHUNK]))
        for place in np.flatnonzero(texts.any(axis=1)):
            # The texts themselves could fill the memory.
            digest = hashlib.blake2b(texts[place].tobytes(), digest_size=16).digest()
            found[start + place] = numbers.setdefault(digest, len(numbers))
    return found


def with_queries(ids: np.ndarray, givers: np.ndarray, end: int) -> np.ndarray:
    """The texts with other texts' queries in place of their own.

    Of texts of `tokens:…` just what it makes of the other query and the own title, for it cuts neither
    by the length of the other. What has no room after all is cut, and [SEP] stands at the end.

    Args:
        ids: [n, length] whose products are kept.
        givers: [n, length] whose queries are taken.
        end: the id of [SEP].

    Returns:
        [n, length]: [CLS], the giver's query, and the own text from its first [SEP] on.
    """
    length = ids.shape[1]
    own, given = (query_lengths(each, end)[:, np.newaxis] for each in (ids, givers))
    places = np.arange(length)
    padded = np.pad(ids, [(0, 0), (0, length)])
    moved = np.take_along_axis(padded, np.maximum(places + own - given, 0), axis=1)
    found = np.where(places <= given, givers, moved)
    found[:, -1] = np.where(found[:, -1] == 0, 0, end)
    return found
