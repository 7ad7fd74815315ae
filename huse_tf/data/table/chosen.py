"""Some cells of a column that is larger than memory."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Chosen:
    """The chosen cells in their order; can be iterated over again and again if the column can.

    Attributes:
        cells: [n], a list or a column of `disk.DiskTable`.
        mask: [n] bool.
        convert: what each of them is made into; by default they stay as they are.
    """

    cells: Iterable[Any]
    mask: np.ndarray
    convert: Callable[[Any], Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        cells = itertools.compress(self.cells, self.mask)
        return map(self.convert, cells) if self.convert else cells

    def __len__(self) -> int:
        return int(np.count_nonzero(self.mask))
