"""Integer codes for columns of texts: codes fit in memory where the texts may not."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd


class Cells(Protocol):
    """A table whose columns are read one by one, such as a data frame or `disk.DiskTable`."""

    def __getitem__(self, name: str, /) -> Iterable[Any]: ...


def codes_of(texts: Iterable[str]) -> np.ndarray:
    """[n] int32 code of each text: equal for equal texts, from 0 by first occurrence, -1 for "".

    Texts are compared by a hash of 64 bits. Among ten million distinct texts the probability of any
    collision is 3e-6.
    """
    hashes = np.fromiter(map(_hash, texts), np.uint64)
    given = hashes != _hash("")
    codes = np.full(len(hashes), -1, np.int32)
    codes[given] = pd.factorize(hashes[given])[0]
    return codes


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def first_places(codes: np.ndarray) -> np.ndarray:
    """[k] index of the first item with each code, sorted by code. Code -1 is left out."""
    found, places = np.unique(codes, return_index=True)
    return places[found >= 0]


def distinct(texts: Iterable[str]) -> Iterator[str]:
    """The distinct texts, without "". `texts` is iterated over twice."""
    places = first_places(codes_of(texts))
    wanted = np.zeros(int(places.max(initial=-1)) + 1, bool)
    wanted[places] = True
    return itertools.compress(texts, wanted)


def pick(cells: Iterable[Any], places: Sequence[int]) -> list[Any]:
    """The cells of a column at the indices `places`, in the order of `places`."""
    wanted = set(places)
    last = max(wanted, default=-1) + 1
    found = {
        place: cell for place, cell in enumerate(itertools.islice(cells, last)) if place in wanted
    }
    return [found[place] for place in places]
