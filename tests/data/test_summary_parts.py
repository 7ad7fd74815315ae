"""Bins, and tables and bars in plain text."""

import numpy as np
import pytest

from huse_tf.data.summary.parts import Histogram, Section, Summary, Table, cell_text, histogram


def test_small_numbers_have_a_bin_each():
    """Gaps stay; what lies below the smallest value is left out."""
    counted = histogram("t", [2, 2, 4])
    assert counted.bins == (("2", 2), ("3", 0), ("4", 1))
    assert counted.note == "Median 2; from 2 to 4." and counted.highest == 2


def test_large_numbers_share_bins_at_1_2_5():
    """Edges 0, 1, 2, 5, 10, 20, 50: 3 and 4 fall together, so do 20 and 49; 50 begins the next."""
    counted = histogram("t", [3, 4, 5, 20, 49, 50])
    assert counted.bins == (("2–4", 2), ("5–9", 1), ("10–19", 0), ("20–49", 2), ("50–99", 1))


@pytest.mark.parametrize("largest", [0, 1, 12, 13, 19, 20, 99, 100, 1000, 123_456])
def test_every_value_is_in_one_bin(largest):
    values = np.random.default_rng(largest).integers(0, largest + 1, 500).tolist()
    values += [0, largest]
    counted = histogram("t", values)
    total = 0
    for name, count in counted.bins:
        low, _, high = name.partition("–")
        total += count
        assert count == sum(int(low) <= value <= int(high or low) for value in values)
    assert total == len(values) and counted.bins[-1][1] > 0


@pytest.mark.parametrize(
    ("cell", "text"), [("a", "a"), (3, "3"), (0.125, "12.5%"), (1.0, "100.0%")]
)
def test_cells(cell, text):
    assert cell_text(cell) == text


def test_as_text():
    """Words to the left, numbers to the right; the longest bar is 40 letters, half of it 20."""
    parts = (
        Table("Splits", ("Split", "Items"), (("train", 10), ("test", 5))),
        Table("", ("Nothing",), (), "None."),
        Histogram("Words", (("1", 4), ("2", 0), ("3", 2)), "Median 1."),
    )
    text = Summary("Shop", {"rows": 15}, (Section("Parts", parts),), ()).as_text()
    assert text.splitlines() == [
        "Shop",
        "",
        "  rows         15",
        "",
        "PARTS",
        "",
        "  Splits",
        "  Split  Items",
        "  train     10",
        "  test       5",
        "",
        "  None.",
        "",
        "  Words",
        "  1          4  " + "▇" * 40,
        "  2          0",
        "  3          2  " + "▇" * 20,
        "  Median 1.",
    ]


def test_long_cells_are_cut_in_plain_text():
    part = Table("", ("A",), (("x" * 61,), ("y" * 60,)))
    lines = Summary("Shop", {"rows": 1}, (Section("S", (part,)),), ()).as_text().splitlines()
    assert lines[-2:] == ["  " + "x" * 59 + "…", "  " + "y" * 60]
