"""Columns of texts as columns of numbers, which fit in memory where the texts may not."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd


class Cells(Protocol):
    """A table of which columns are read one by one, such as a data frame or `disk.DiskTable`."""

    def __getitem__(self, name: str, /) -> Iterable[Any]: ...


def codes_of(texts: Iterable[str]) -> np.ndarray:
    """[n] int32, equal for equal texts; from 0 in the order in which they first come; -1 for "".

    Texts are told apart by 64 bits of a hash. Among ten million different ones some two are taken
    for one with a probability of 3e-6.
    """
    hashes = np.fromiter(map(_hash, texts), np.uint64)
    given = hashes != _hash("")
    codes = np.full(len(hashes), -1, np.int32)
    codes[given] = pd.factorize(hashes[given])[0]
    return codes


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def first_places(codes: np.ndarray) -> np.ndarray:
    """[k] place of the first item with each code, in the order of the codes; -1 is left out."""
    found, places = np.unique(codes, return_index=True)
    return places[found >= 0]


def distinct(texts: Iterable[str]) -> Iterator[str]:
    """The texts without repetitions and without ""; `texts` is iterated over twice."""
    places = first_places(codes_of(texts))
    wanted = np.zeros(int(places.max(initial=-1)) + 1, bool)
    wanted[places] = True
    return itertools.compress(texts, wanted)


def pick(cells: Iterable[Any], places: Sequence[int]) -> list[Any]:
    """The cells of a column at these places, in the order of `places`."""
    wanted = set(places)
    last = max(wanted, default=-1) + 1
    found = {
        place: cell for place, cell in enumerate(itertools.islice(cells, last)) if place in wanted
    }
    return [found[place] for place in places]
