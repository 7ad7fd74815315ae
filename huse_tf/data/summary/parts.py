"""What a summary is made of: tables and histograms in sections, and their form as plain text."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

Cell = str | int | float
_BAR = 40  # letters of the longest bar in plain text
_MAX_WIDTH = 60  # letters of a cell in plain text
_LAST_SINGLE = 20  # up to this largest value each number has a bin of its own


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells under a header; a float is a share in [0, 1].

    Attributes:
        title: what it tells; "" where its section's title does.
        header: names of the columns.
        rows: as long as the header, each.
        note: a sentence on it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How many there are in each bin.

    Attributes:
        title: what was counted.
        bins: ("20–49", count), ascending; those between the smallest and the largest value.
        note: median and extremes.
    """

    title: str
    bins: tuple[tuple[str, int], ...]
    note: str

    @property
    def highest(self) -> int:
        return max(count for _, count in self.bins)


@dataclasses.dataclass(frozen=True)
class Section:
    """Tables and histograms under one heading."""

    title: str
    parts: tuple[Table | Histogram, ...]


@dataclasses.dataclass(frozen=True)
class Sample:
    """An item to look at.

    Attributes:
        image: its file; None for an item without.
        title: may be "".
        classes: names.
        split: `keys.TRAIN` or another split.
    """

    image: pathlib.Path | None
    title: str
    classes: str
    split: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """What was understood of a catalogue.

    Attributes:
        title: the catalogue.
        figures: the numbers to see first, by name.
        sections: the rest.
        samples: items to look at.
    """

    title: str
    figures: dict[str, int]
    sections: tuple[Section, ...]
    samples: tuple[Sample, ...]

    def as_text(self) -> str:
        """All but the samples, for a terminal."""
        width = max(map(len, self.figures))
        lines = [self.title, ""]
        lines += [f"  {name:<{width}}  {value:>9}" for name, value in self.figures.items()]
        for section in self.sections:
            lines += ["", section.title.upper()]
            for part in section.parts:
                lines += [""] + ([f"  {part.title}"] if part.title else [])
                lines += _table_lines(part) if isinstance(part, Table) else _bar_lines(part)
                lines += [f"  {part.note}"] if part.note else []
        return "\n".join(lines)


def histogram(title: str, values: Iterable[int]) -> Histogram:
    """Counts whole numbers ≥ 0, at least one: each number by itself, or in bins at 1, 2, 5, 10 …"""
    numbers = np.sort(np.fromiter(values, np.int64))
    smallest, largest = int(numbers[0]), int(numbers[-1])
    if largest <= _LAST_SINGLE:
        edges = list(range(largest + 2))
    else:
        edges = [0] + [
            step * 10**power for power in range(len(str(largest)) + 1) for step in (1, 2, 5)
        ]
    counts = np.histogram(numbers, edges)[0].tolist()
    bins = [
        (str(low) if high == low + 1 else f"{low}–{high - 1}", count)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if high > smallest and low <= largest
    ]
    return Histogram(
        title, tuple(bins), f"Median {np.median(numbers):g}; from {smallest} to {largest}."
    )


def cell_text(cell: Cell) -> str:
    """A cell for people: a share in per cent, anything else as it is."""
    return f"{cell:.1%}" if isinstance(cell, float) else str(cell)


def _table_lines(table: Table) -> list[str]:
    if not table.rows:
        return []
    rows = [table.header, *([_cut(cell_text(cell)) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = [isinstance(cell, str) for cell in table.rows[0]]
    return ["  " + _aligned(row, widths, words) for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int], words: Sequence[bool]) -> str:
    cells = zip(row, widths, words, strict=True)
    return "  ".join(
        c.ljust(width) if left else c.rjust(width) for c, width, left in cells
    ).rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_WIDTH else text[: _MAX_WIDTH - 1] + "…"


def _bar_lines(part: Histogram) -> list[str]:
    width = max(len(name) for name, _ in part.bins)
    return [
        f"  {name:>{width}}  {count:>9}  {'▇' * round(_BAR * count / part.highest)}".rstrip()
        for name, count in part.bins
    ]
