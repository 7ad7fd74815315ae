"""Rows of an array on disk are those of the same array in memory, whatever asks for them."""

import numpy as np
import pytest

from huse_tf.features.on_disk import RowsOf, take, zeros


@pytest.fixture
def stored(tmp_path, rng, monkeypatch):
    monkeypatch.setattr("huse_tf.features.on_disk.MAX_BYTES_IN_MEMORY", 100)
    array = zeros((20, 3), "float32", tmp_path / "cache")
    assert isinstance(array, np.memmap) and not array.any()
    array[:] = rng.normal(size=(20, 3))
    return array


def test_small_arrays_stay_in_memory(tmp_path):
    array = zeros((20, 3), "float32", tmp_path / "cache")
    assert not isinstance(array, np.memmap) and not (tmp_path / "cache").exists()


def test_nothing_is_left_on_disk(stored, tmp_path):
    assert not list((tmp_path / "cache").iterdir())


def test_rows_of_rows(stored, rng):
    chosen = rng.random(20) < 0.6
    some, expected = take(stored, chosen), np.array(stored)[chosen]
    assert isinstance(some, RowsOf) and not isinstance(some, np.ndarray)
    assert some.shape == expected.shape and some.dtype == expected.dtype
    assert len(some) == len(expected)
    np.testing.assert_array_equal(np.asarray(some), expected)
    order = rng.permutation(len(expected))[:5]
    np.testing.assert_array_equal(some[order], expected[order])
    np.testing.assert_array_equal(some[2:4], expected[2:4])
    fewer = rng.random(len(expected)) < 0.5
    np.testing.assert_array_equal(np.asarray(take(some, fewer)), expected[fewer])


def test_changing_a_batch_changes_no_row(stored):
    """The pipeline zeroes features of a batch in place."""
    some = take(stored, np.arange(20) < 10)
    before = np.array(stored)
    batch = some[np.array([1, 2])]
    batch[:] = 0
    np.testing.assert_array_equal(stored, before)


def test_all_rows_are_the_array_itself(stored):
    assert take(stored, np.ones(20, bool)) is stored
    array = np.arange(4)
    np.testing.assert_array_equal(take(array, np.array([True, False, True, False])), [0, 2])
