"""What tuning may choose: the values of a setting to search among, and spaces that methods share.

A method names the settings that are worth a search in its `space`, its own and those of training. A space
is a proposal for catalogues of any size: `jobs.search_space` fits it to the settings that are given.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers between two ends, both included.

    Attributes:
        low, high: the ends.
        log: whether ratios count and not differences, as for learning rates; `low` is then above 0.

    Raises:
        ValueError: the ends are not in this order, or not above 0 with `log`.

    Examples:
        >>> Range(1e-4, 1e-2, log=True).holding(3e-4)
        Range(low=0.0001, high=0.01, log=True)
        >>> Range(1e-4, 1e-2, log=True).holding(10.0)
        Range(low=1.0, high=100.0, log=True)
        >>> Range(0.0, 0.5).holding(0.6)
        Range(low=0.0, high=0.6, log=False)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and not self.low > 0):
            raise ValueError(f"Expected low < high, and low > 0 with log. Received: {self}.")

    def holding(self, value: float) -> Range:
        """The range, if need be changed to hold a value: wider, or, with `log`, moved to its middle."""
        if self.low <= value <= self.high:
            return self
        if not self.log:
            return Range(min(self.low, value), max(self.high, value))
        factor = math.sqrt(self.high / self.low)
        return Range(float(f"{value / factor:.3g}"), float(f"{value * factor:.3g}"), log=True)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A few values, in no order.

    Attributes:
        values: at least two, all different.

    Raises:
        ValueError: there are fewer, or two are equal.

    Examples:
        >>> Choice(((512,), (512, 512))).holding((256,))
        Choice(values=((256,), (512,), (512, 512)))
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(self.values)) < len(self.values):
            raise ValueError(f"Expected at least two values, all different. Received: {self}.")

    def holding(self, value: Any) -> Choice:
        """The choice, with this value added if it is missing."""
        return self if value in self.values else Choice((value, *self.values))


Search = Range | Choice
Space = Mapping[str, Search]

LEARNING: Space = {
    "learning_rate": Range(1e-4, 3e-3, log=True),
    "weight_decay": Range(0.0, 0.1),
}
"""Training settings that every gradient step depends on."""

TOWERS: Space = {
    **LEARNING,
    "dropout": Range(0.0, 0.5),
    "input_dropout": Range(0.0, 0.6),
    "image_layers": Choice(((512,), (512, 512), (512,) * 5)),
}
"""The same, with what keeps towers with hidden layers from memorising."""

LOSS_WEIGHT = Range(0.1, 10.0, log=True)
"""Of a loss term beside others; 0 turns a term off and is never searched."""
