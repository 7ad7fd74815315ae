"""The class graph as a piece of a page: order, nearest classes, letters, escaping."""

from __future__ import annotations

import base64
import html
import io
import itertools
import re

import numpy as np
import PIL.Image
import pytest

from huse_tf.evaluation.class_graph_page import class_graph_section, nearest_classes

NAMES = ("bed", "apple", "chair", "pear")
# Furniture and fruit, alternating by label: 0.1 and 0.2 within, 0.8 and more between.
DISTANCES = np.array(
    [[0, 0.9, 0.1, 0.8], [0.9, 0, 0.85, 0.2], [0.1, 0.85, 0, 0.9], [0.8, 0.2, 0.9, 0]]
)


def rows_of(section: str) -> list[list[str]]:
    """The words of each table row."""
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.split(r"</t[hd]>", row)[:-1]]
        for row in re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)
    ]


def letters(section: str) -> list[str]:
    """The words in the figure, in order."""
    return [html.unescape(word) for word in re.findall(r"<text[^>]*>([^<]*)</text>", section)]


def random_distances(rng: np.random.Generator, size: int) -> np.ndarray:
    drawn = np.round(rng.uniform(0.1, 1, (size, size)), 1)  # with ties
    return np.triu(drawn, 1) + np.triu(drawn, 1).T


def test_nearest_classes_by_hand():
    assert nearest_classes(DISTANCES, 2) == [
        [(2, 0.1), (3, 0.8)],
        [(3, 0.2), (2, 0.85)],
        [(0, 0.1), (1, 0.85)],
        [(1, 0.2), (0, 0.8)],
    ]
    assert nearest_classes(np.zeros((1, 1)), 5) == [[]]


def test_nearest_classes_equal_a_sort(rng):
    distances = random_distances(rng, 30)
    distances[3, 4] = distances[4, 3] = 0.0  # as near as the class itself
    expected = [
        [
            (label, distances[row, label])
            for label in sorted(range(30), key=lambda label: (distances[row, label], label))
            if label != row
        ][:5]
        for row in range(30)
    ]
    assert nearest_classes(distances, 5) == expected


def test_the_table_lists_each_class_by_label():
    assert rows_of(class_graph_section(DISTANCES, NAMES)) == [
        ["Class", "1.", "2.", "3."],
        ["bed", "chair 0.10", "pear 0.80", "apple 0.90"],
        ["apple", "pear 0.20", "chair 0.85", "bed 0.90"],
        ["chair", "bed 0.10", "apple 0.85", "pear 0.90"],
        ["pear", "apple 0.20", "bed 0.80", "chair 0.90"],
    ]


def test_at_most_five_are_listed(rng):
    rows = rows_of(class_graph_section(random_distances(rng, 9), [f"c{n}" for n in range(9)]))
    assert {len(row) for row in rows} == {6}


def test_similar_classes_stand_side_by_side():
    """Of the orders that keep the pairs together, chair-bed-pear-apple has the nearest ends meet."""
    words = letters(class_graph_section(DISTANCES, NAMES))
    across, down = words[:4], words[4:]
    assert across == down
    assert across in (["chair", "bed", "pear", "apple"], ["apple", "pear", "bed", "chair"])


def test_cells_are_strong_where_classes_are_near():
    """In the order above, the middle of each cell: full on the diagonal, none at the largest 0.9."""
    section = class_graph_section(DISTANCES, NAMES)
    data = re.search(r"base64,([^\"]+)", section)[1]
    with PIL.Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        strengths = np.array(picture.convert("RGBA"))[..., 3] / 255
    if "scale(1 -1)" in section:
        strengths = strengths[::-1]
    step = len(strengths) / 4
    middles = [int((place + 0.5) * step) for place in range(4)]
    order = [NAMES.index(name) for name in letters(section)[:4]]
    expected = 1 - DISTANCES[np.ix_(order, order)] / 0.9
    np.testing.assert_allclose(strengths[np.ix_(middles, middles)], expected, atol=0.01)


@pytest.mark.parametrize(("size", "named"), [(100, True), (101, False)])
def test_names_are_written_up_to_a_hundred(rng, size, named):
    names = [f"c{n}" for n in range(size)]
    section = class_graph_section(random_distances(rng, size), names)
    assert sorted(letters(section)) == (sorted(names * 2) if named else [])
    assert ("101 names are too many to show" in section) == (not named)
    assert len(rows_of(section)) == size + 1


def test_thousands_of_classes_make_a_small_page(rng):
    """Beyond 500 the order is a plain clustering's; blocks of equal classes stay together."""
    groups = np.arange(600) % 3
    distances = (groups[:, None] != groups).astype(np.float32)
    section = class_graph_section(distances, [f"class {n}" for n in range(600)])
    assert len(section) < 1_000_000


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("distance", [0.0, 0.5])
def test_few_or_equal_classes_are_no_special_case(size, distance):
    distances = distance * (1 - np.eye(size, dtype=np.float32))
    section = class_graph_section(distances, [f"c{n}" for n in range(size)])
    assert len(rows_of(section)) == size + 1
    assert "nan" not in section


def test_names_are_escaped():
    evil = "<script>alert(1)</script>&\"'"
    section = class_graph_section(1 - np.eye(2), [evil, "b"])
    assert "<script" not in section
    assert html.unescape(rows_of(section)[1][0]) == evil
    assert letters(section).count(evil) == 2


def test_the_optimal_order_has_the_shortest_way_past_all_classes(rng):
    """Against all orders that a clustering of four points on a line allows: the line's own."""
    places = np.array([3.0, 0.0, 10.0, 11.5])
    distances = np.abs(places[:, None] - places)
    words = letters(class_graph_section(distances, ["3", "0", "10", "11.5"]))[:4]

    def way(order):
        return sum(abs(float(a) - float(b)) for a, b in itertools.pairwise(order))

    assert way(words) == 11.5
