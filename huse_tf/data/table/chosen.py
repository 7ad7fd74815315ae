"""A selection of cells of a column that may be larger than memory."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Chosen:
    """The cells where `mask` is True, in order. Can be iterated over repeatedly if the column can.

    Attributes:
        cells: [n] a list or a column of `disk.DiskTable`.
        mask: [n] bool.
        convert: applied to each chosen cell; None leaves cells unchanged.
    """

    cells: Iterable[Any]
    mask: np.ndarray
    convert: Callable[[Any], Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        cells = itertools.compress(self.cells, self.mask)
        return map(self.convert, cells) if self.convert else cells

    def __len__(self) -> int:
        return int(np.count_nonzero(self.mask))
