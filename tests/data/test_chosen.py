"""Some cells of a column, again and again."""

import numpy as np

from huse_tf.data.table.chosen import Chosen


def test_the_chosen_cells_every_time_they_are_asked_for():
    chosen = Chosen(["a", "", "b", "c"], np.array([True, False, False, True]), str.upper)
    assert len(chosen) == 2
    assert list(chosen) == list(chosen) == ["A", "C"]
    assert list(Chosen(["a", "b"], np.array([False, True]))) == ["b"]


def test_cells_are_made_when_they_are_met():
    met = []
    cells = iter(Chosen(range(9), np.ones(9, bool), lambda cell: met.append(cell) or cell))
    assert next(cells) == 0
    assert met == [0]
