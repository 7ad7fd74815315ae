"""A vector joined from two parts whose prefixes are joined vectors too."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Nesting:
    """Blocks of two parts, and the order in which they make up one vector.

    Block b of the joined vector is block b of the first part, then block b of the second. So its first blocks are
    the first blocks of both parts. All vectors have the same length in a block, in either part the same. So the parts
    stand to each other in every prefix as they do in the whole, and a cosine of prefixes is their dot product
    times a constant.

    Attributes:
        first: units of each block of the first part.
        second: units of each block of the second part. A block after the first may have none.
        weights: each block's share of the squared length, more than 0; they sum to 1.

    Examples:
        4 + 2 units, cut after 3: two of the first part and one of the second make the prefix.

        >>> nesting = Nesting.of((3,), first=4, second=2, share=0.4)
        >>> nesting.first, nesting.second, nesting.order
        ((2, 2), (1, 1), (0, 1, 4, 2, 3, 5))
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, prefixes: Sequence[int], first: int, second: int, share: float) -> Nesting:
        """Parts that share the prefixes fairly.

        A prefix of m of all D units has the share sqrt(m / D) of the squared length. Of the second part it holds as
        large a share of the units, but at most `share` of its own units, and at least one unit.

        Args:
            prefixes: their sizes, ascending, above 1 and at most `first`.
            first, second: units of the parts; the second may have none.
            share: of the second part in the cosine of two vectors, in [0, 1).
        """
        whole = first + second
        ends = [*prefixes, whole]
        shares = [(end / whole) ** 0.5 for end in ends]
        least = min(1, second)
        seconds = [
            min(max(least, round(min(part * second, share * end))), end - 1)
            for part, end in zip(shares[:-1], prefixes, strict=True)
        ]
        seconds.append(second)
        firsts = [end - units for end, units in zip(ends, seconds, strict=True)]
        blocks = (np.diff(each, prepend=0).tolist() for each in (firsts, seconds, shares))
        return cls(*map(tuple, blocks))

    @property
    def order(self) -> tuple[int, ...]:
        """The place of each unit of the joined vector in [first part; second part]."""
        firsts = itertools.accumulate(self.first, initial=0)
        seconds = itertools.accumulate(self.second, initial=sum(self.first))
        blocks = zip(firsts, self.first, seconds, self.second, strict=False)
        return tuple(
            itertools.chain.from_iterable(
                (*range(one, one + ones), *range(two, two + twos))
                for one, ones, two, twos in blocks
            )
        )


def filled(sizes: Sequence[int], weights: Sequence[float]) -> list[tuple[int, float]]:
    """(units, weight) of the blocks that have units; others give their weight to the block before.

    Args:
        sizes: units of each block; the first has some.
        weights: of each block.

    Examples:
        >>> filled((3, 0, 2), (0.5, 0.25, 0.25))
        [(3, 0.75), (2, 0.25)]
    """
    found: list[tuple[int, float]] = []
    for size, weight in zip(sizes, weights, strict=True):
        if not size:
            size, before = found.pop()
            weight += before
        found.append((size, weight))
    return found


def unit_blocks(
    x: keras.KerasTensor, sizes: Sequence[int], weights: Sequence[float]
) -> keras.KerasTensor:
    """[batch, D] of unit norm, in which each block has the same length in all rows.

    Args:
        x: [batch, D].
        sizes: units of each block, together D (`filled`). Of one block this is the usual normalisation.
        weights: each block's share of the squared length; they sum to 1.
    """
    if len(sizes) == 1:
        return keras.layers.UnitNormalization()(x)
    blocks, start = [], 0
    for size, weight in filled(sizes, weights):
        block = keras.layers.UnitNormalization()(x[:, start : start + size])
        blocks.append(block * weight**0.5)
        start += size
    return keras.ops.concatenate(blocks, axis=-1)
