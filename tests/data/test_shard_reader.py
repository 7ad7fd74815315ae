"""Any record by its number; damage is told when it is met."""

import gc
import os

import numpy as np
import pytest
from tiny_shards import COUNT, RECORDS, tiny_folder

from huse_tf import keys
from huse_tf.data import shard_index, shards
from huse_tf.data.shard_reader import ShardReader
from huse_tf.errors import UserError


@pytest.fixture
def folder(tmp_path):
    tiny_folder(tmp_path, num_shards=8)  # Some of them empty.
    return tmp_path


def sequential(folder):
    return [
        record
        for shard in shard_index.read_index(folder).shards
        for record in shards.read_shard(folder / shard.name)
    ]


def test_random_access_equals_the_sequence(folder, rng):
    reader, expected = ShardReader(folder), sequential(folder)
    assert len(reader) == COUNT
    rows = rng.integers(0, COUNT, 100)
    assert reader.read(rows) == [expected[row] for row in rows]
    assert sorted(reader.read(range(COUNT))) == sorted(data for _, data in RECORDS)
    assert reader.read([]) == []


def test_rows_of_a_side(folder):
    reader = ShardReader(folder)
    rows = reader.rows(keys.TEST)
    tests = {data for key, data in RECORDS if int(key.removeprefix("item-")) % 5 == 0}
    assert set(reader.read(rows)) == tests and len(rows) == len(tests) == 5
    assert rows.dtype == np.int64
    both = np.concatenate([rows, reader.rows(keys.TRAIN)])
    assert sorted(both) == list(range(COUNT))
    assert len(reader.rows(keys.VALIDATION)) == 0


def test_damage_names_file_and_record(folder):
    reader = ShardReader(folder)
    shard = next(shard for shard in reader.index.shards if shard.records > 1)
    row = sum(s.records for s in reader.index.shards if s.name < shard.name) + 1
    offset = int(np.load((folder / shard.name).with_suffix(".npy"))["offset"][1])
    with open(folder / shard.name, "r+b") as file:
        file.seek(offset + 5)
        file.write(b"\xee")
    with pytest.raises(UserError, match=f"{shard.name}' is damaged: record 2"):
        reader.read([row])
    reader.read([row - 1])


def test_files_must_fit_the_index(folder):
    path = folder / shard_index.read_index(folder).shards[0].name
    whole = path.read_bytes()
    path.write_bytes(whole + b"x")
    with pytest.raises(UserError, match="does not fit the index"):
        ShardReader(folder)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        ShardReader(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table[1:], "does not fit"),
        (lambda table: table["offset"], "does not fit"),
        (lambda table: np.array([{}] * len(table)), "cannot be read"),  # Needs pickle.
    ],
)
def test_a_wrong_table_is_refused(folder, change, reason):
    path = (folder / shard_index.read_index(folder).shards[0].name).with_suffix(".npy")
    np.save(path, change(np.load(path)))
    with pytest.raises(UserError, match=reason):
        ShardReader(folder)


def test_a_table_does_not_fill_memory(folder):
    path = (folder / shard_index.read_index(folder).shards[0].name).with_suffix(".npy")
    table = np.load(path)
    table["length"][0] = 2**32 - 1
    np.save(path, table)
    with pytest.raises(UserError, match="does not fit"):
        ShardReader(folder)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_files_are_closed(folder):
    reader = ShardReader(folder)
    before = len(os.listdir("/proc/self/fd"))
    del reader
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before - 8
