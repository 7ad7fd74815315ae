"""Ids of texts that begin with a query: [CLS] query [SEP] text of the product [SEP], padded with 0.

A text with a single [SEP] is a query without a text of the product.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

_CHUNK = 4096  # texts that are read at once


def query_lengths(ids: np.ndarray, end: int) -> np.ndarray:
    """[n] int number of pieces of each query; 0 for a missing query, -1 for a missing text.

    Args:
        ids: [n, length] int ids of texts.
        end: the id of [SEP].
    """
    return (ids == end).argmax(axis=1) - 1


def query_numbers(ids: np.ndarray, end: int) -> np.ndarray:
    """[n] int code of each query: equal for equal queries, -1 for a missing one.

    Args:
        ids: [n, length] int ids of texts; may lie on disk.
        end: the id of [SEP].
    """

    def queries(texts: np.ndarray) -> np.ndarray:
        lengths = query_lengths(texts, end)[:, np.newaxis]
        return np.where((np.arange(texts.shape[1]) <= lengths) & (lengths > 0), texts, 0)

    return _numbers(ids, queries)


def text_numbers(ids: np.ndarray) -> np.ndarray:
    """[n] int code of each text [n, length]: equal for equal texts, -1 for a missing one."""
    return _numbers(ids, lambda texts: texts)


def _numbers(ids: np.ndarray, part: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """[n] int codes from 0 of `part(ids)`, -1 for rows of zeros; `ids` may lie on disk."""
    numbers: dict[bytes, int] = {}
    found = np.full(len(ids), -1)
    for start in range(0, len(ids), _CHUNK):
        texts = part(np.asarray(ids[start : start + _CHUNK]))
        for place in np.flatnonzero(texts.any(axis=1)):
            # A digest, because the texts themselves could fill the memory.
            digest = hashlib.blake2b(texts[place].tobytes(), digest_size=16).digest()
            found[start + place] = numbers.setdefault(digest, len(numbers))
    return found


def with_queries(ids: np.ndarray, givers: np.ndarray, end: int) -> np.ndarray:
    """Replaces the queries of texts by the queries of other texts.

    For ids of the encoder `tokens`, the result equals the ids of the new query with the old title, because
    that encoder cuts the two independently. Texts that are too long are cut and end with [SEP].

    Args:
        ids: [n, length] int texts, whose products are kept.
        givers: [n, length] int texts, whose queries are taken.
        end: the id of [SEP].

    Returns:
        [n, length] int: [CLS], the giver's query, and the text in `ids` from its first [SEP] on.
    """
    length = ids.shape[1]
    own, given = (query_lengths(each, end)[:, np.newaxis] for each in (ids, givers))
    places = np.arange(length)
    padded = np.pad(ids, [(0, 0), (0, length)])
    moved = np.take_along_axis(padded, np.maximum(places + own - given, 0), axis=1)
    found = np.where(places <= given, givers, moved)
    found[:, -1] = np.where(found[:, -1] == 0, 0, end)
    return found
