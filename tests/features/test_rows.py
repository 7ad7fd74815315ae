"""Rows of an array on disk are those of the same array in memory, whatever asks for them."""

import numpy as np
import pytest

from huse_tf.features import rows
from huse_tf.features.rows import RowsOf, take, zeros


@pytest.fixture
def on_disk(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(rows, "MAX_BYTES_IN_MEMORY", 100)
    array = zeros((20, 3), "float32", tmp_path / "cache")
    assert isinstance(array, np.memmap) and not array.any()
    array[:] = rng.normal(size=(20, 3))
    return array


def test_small_arrays_stay_in_memory(tmp_path):
    array = zeros((20, 3), "float32", tmp_path / "cache")
    assert not isinstance(array, np.memmap) and not (tmp_path / "cache").exists()


def test_nothing_is_left_on_disk(on_disk, tmp_path):
    assert not list((tmp_path / "cache").iterdir())


def test_rows_of_rows(on_disk, rng):
    chosen = rng.random(20) < 0.6
    some, expected = take(on_disk, chosen), np.array(on_disk)[chosen]
    assert isinstance(some, RowsOf) and not isinstance(some, np.ndarray)
    assert some.shape == expected.shape and some.dtype == expected.dtype
    assert len(some) == len(expected)
    np.testing.assert_array_equal(np.asarray(some), expected)
    order = rng.permutation(len(expected))[:5]
    np.testing.assert_array_equal(some[order], expected[order])
    np.testing.assert_array_equal(some[2:4], expected[2:4])
    fewer = rng.random(len(expected)) < 0.5
    np.testing.assert_array_equal(np.asarray(take(some, fewer)), expected[fewer])


def test_changing_a_batch_changes_no_row(on_disk):
    """The pipeline zeroes features of a batch in place."""
    some = take(on_disk, np.arange(20) < 10)
    before = np.array(on_disk)
    batch = some[np.array([1, 2])]
    batch[:] = 0
    np.testing.assert_array_equal(on_disk, before)


def test_all_rows_are_the_array_itself(on_disk):
    assert take(on_disk, np.ones(20, bool)) is on_disk
    array = np.arange(4)
    np.testing.assert_array_equal(take(array, np.array([True, False, True, False])), [0, 2])
