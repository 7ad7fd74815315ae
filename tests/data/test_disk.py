"""Tables and dicts on disk give back what lists and dicts would, and leave nothing behind."""

import dataclasses
import gc
import os

import numpy as np
import pandas as pd
import pytest

from huse_tf.data.table import disk
from huse_tf.data.table.disk import DiskDict, DiskTable
from huse_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Thing:
    row: int
    name: str
    words: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    weight: float


ODD = ["", "é", "\U0001f600", "\uffff", "a\nb", 'quo"te', "it's", "null", "\x00x", "Z", "a", "[]"]


def things(count, seed=0):
    generator = np.random.default_rng(seed)
    return [
        Thing(
            row=int(generator.integers(-(2**62), 2**62)),
            name=f"{ODD[generator.integers(len(ODD))]}{number}",
            words=tuple(ODD[i] for i in generator.integers(0, len(ODD), number % 4)),
            paths=tuple(tuple(ODD[: i + 1]) for i in generator.integers(0, 4, number % 3)),
            weight=float(generator.random()),
        )
        for number in range(count)
    ]


def frame_of(records):
    names = [field.name for field in dataclasses.fields(Thing)]
    return pd.DataFrame({name: [getattr(one, name) for one in records] for name in names})


@pytest.fixture(params=[0, 1, 6, 7, 8, 20])
def records(request, monkeypatch):
    """Nothing, less than a chunk, chunks to the last row, and some more."""
    monkeypatch.setattr(disk, "_CHUNK", 7)
    return things(request.param)


def test_records_come_back_in_order(records):
    table = DiskTable(Thing, records)
    assert len(table) == len(records)
    assert list(table) == list(table) == records


def test_columns(records):
    table = DiskTable(Thing, records)
    for name in ("row", "name", "words", "paths", "weight"):
        column = table[name]
        assert list(column) == list(column) == [getattr(one, name) for one in records]


def test_frames_together_are_the_frame_of_all(records):
    table = DiskTable(Thing, records)
    expected = frame_of(records)
    pd.testing.assert_frame_equal(table.frame(), expected)
    frames = list(table.frames())
    assert [len(frame) for frame in frames[:-1]] == [7] * (len(frames) - 1)
    assert len(frames[-1]) > 0 or len(records) == 0
    assert all(list(frame) == list(expected) for frame in frames)


def test_columns_beside_keep_to_their_rows(records):
    """Also when the frames are sorted; and the table without them stays as it was."""
    numbers = np.arange(len(records)) * 10
    tuples = np.empty(len(records), object)
    tuples[:] = [(number,) * (number % 3) for number in range(len(records))]
    table = DiskTable(Thing, records)
    more = table.assign(number=numbers).assign(tuples=tuples)
    np.testing.assert_array_equal(more["number"], numbers)
    by_name = {one.name: place for place, one in enumerate(records)}
    for order in ("", "name"):
        for frame in more.frames(order):
            places = [by_name[name] for name in frame["name"]]
            assert frame["number"].tolist() == [10 * place for place in places]
            assert frame["tuples"].tolist() == [tuples[place] for place in places]
    assert "number" not in table.frame() and list(more) == records


def test_order_is_that_of_python(records):
    """By code points: a letter above U+FFFF after U+FFFF, capitals before small letters."""
    names = [name for frame in DiskTable(Thing, records).frames("name") for name in frame["name"]]
    assert names == sorted(one.name for one in records)


def test_two_readers_do_not_disturb_each_other(records):
    table = DiskTable(Thing, records)
    assert list(zip(table, table["name"], strict=True)) == [(one, one.name) for one in records]


@pytest.mark.parametrize("seed", range(3))
def test_dict_against_a_dict(seed):
    generator = np.random.default_rng(seed)
    ours, real = DiskDict(), {}
    for _ in range(500):
        name = ODD[generator.integers(len(ODD))]
        if generator.random() < 0.5:
            ours[name] = real[name] = (name, int(generator.integers(100)), (("a", "b"), ()))
        assert ours.get(name) == real.get(name)
        assert ours.get(name, 7) == real.get(name, 7)


def test_a_full_disk_is_told():
    table = DiskTable(Thing)
    table._database.execute("PRAGMA max_page_count = 10")
    with pytest.raises(UserError, match=r"disk is full.*SQLITE_TMPDIR"):
        for thing in things(5000):
            table.append(thing)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="lists open files as Linux does")
def test_files_have_no_name_and_go_with_the_table():
    def held():
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return [os.readlink(link) for link in links if os.path.islink(link)]

    gc.collect()
    before = sum("etilqs" in path for path in held())
    table = DiskTable(Thing, things(60_000))  # more than the cache holds
    beside = table.assign(number=np.arange(60_000))
    mine = [path for path in held() if "etilqs" in path]
    assert len(mine) == before + 1 and mine[-1].endswith("(deleted)")
    del table
    assert len(beside) == 60_000
    del beside
    assert sum("etilqs" in path for path in held()) == before


def test_a_frame_of_chosen_rows_is_the_rows_of_the_whole_frame(monkeypatch):
    monkeypatch.setattr(disk, "_CHUNK", 4)
    table = DiskTable(Thing, things(11)).assign(number=np.arange(11) * 10)
    chosen = np.isin(np.arange(11), [0, 3, 4, 10])
    found = table.frame(chosen)
    assert found.index.tolist() == [0, 3, 4, 10] and found["number"].tolist() == [0, 30, 40, 100]
    pd.testing.assert_frame_equal(found, table.frame()[chosen])
    assert table.frame(np.zeros(11, bool)).columns.tolist() == table.frame().columns.tolist()
