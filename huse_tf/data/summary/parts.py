"""The parts of a summary, tables and histograms in sections, and their form as plain text."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

Cell = str | int | float
_BAR = 40  # characters of the longest bar in plain text
_MAX_WIDTH = 60  # characters of a cell in plain text
_LAST_SINGLE = 20  # largest value up to which each number has its own bin


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells under a header; a float is a share in [0, 1].

    Attributes:
        title: the title; "" if the title of the section suffices.
        header: names of the columns.
        rows: rows of as many cells as the header has.
        note: a sentence below the table.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts per bin.

    Attributes:
        title: what was counted.
        bins: ("20–49", count), ascending, from the smallest to the largest value.
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
    """An example item.

    Attributes:
        image: the image's file; None for an item without an image.
        title: the title; "" for an item without a text.
        classes: the class paths as one text.
        split: `keys.TRAIN` or another split.
    """

    image: pathlib.Path | None
    title: str
    classes: str
    split: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """The summary of a catalogue.

    Attributes:
        title: name of the catalogue.
        figures: name -> count, shown first.
        sections: tables and histograms.
        samples: example items.
    """

    title: str
    figures: dict[str, int]
    sections: tuple[Section, ...]
    samples: tuple[Sample, ...]

    def as_text(self) -> str:
        """The summary as plain text for a terminal, without the samples."""
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
    """The histogram of at least one integer ≥ 0, with one bin per number or bins at 1, 2, 5, 10 and so on."""
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
    """The text of a cell; a float is a share and becomes a percentage."""
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
