"""Ids of texts that begin with a query: [CLS] query [SEP] what is said of the product [SEP], 0 padding.

A text without a second [SEP] is a query alone; a product is then its picture alone.
"""

from __future__ import annotations

import numpy as np


def query_lengths(ids: np.ndarray, end: int) -> np.ndarray:
    """[n] number of pieces of each query; 0 where there is none, or -1 where there is no text.

    Args:
        ids: [n, length].
        end: the id of [SEP].
    """
    return (ids == end).argmax(axis=1) - 1


def query_numbers(ids: np.ndarray, end: int) -> np.ndarray:
    """[n] int, equal for equal queries; arguments as of `query_lengths`."""
    is_query = np.arange(ids.shape[1]) <= query_lengths(ids, end)[:, np.newaxis]
    queries = np.where(is_query, ids, 0)
    return np.unique(queries, axis=0, return_inverse=True)[1].reshape(-1)


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
