"""A prepared folder is read whole and unchanged, or not at all; TFRecords of others are read as they are."""

import shutil

import fsspec
import numpy as np
import pytest
import tensorflow as tf
from tiny_shards import COUNT, tiny_folder

from huse_tf.data.readers.sources import locate, open_source
from huse_tf.data.shards import shard_index
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    tiny_folder(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "prepared")


def read(catalogue):
    config = DataConfig(catalogue=str(catalogue), catalogue_format="shards")
    return list(open_source(locate(config), config))


def test_a_whole_folder_is_read(folder):
    assert len(read(folder)) == len(read(f"{folder}/*.tfrecord")) == COUNT


def shard(folder, number=1):
    return folder / shard_index.shard_name(number, 3)


def flip(path):
    """Changes one byte in the middle; the length stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another(path):
    """Another shard with all checksums right: of other records, of as many bytes."""
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for data in records:
            writer.write(data.replace(b"text ", b"TEXT "))


def more(folder):
    shutil.copy(shard(folder), folder / "more.tfrecord")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "index.json").unlink(), "no finished prepared shards"),
        (lambda folder: (folder / "index.json").write_text("{"), "is not an index"),
        (lambda folder: (folder / "index.json").write_bytes(b"\xff\0"), "is not an index"),
        (lambda folder: shard(folder).unlink(), "lacks 'items-00001-of-00003.tfrecord'"),
        (lambda folder: shard(folder).with_suffix(".npy").unlink(), "lacks 'items-00001-of-00003.npy'"),
        (lambda folder: shard(folder).write_bytes(b""), "does not fit its index"),
        (lambda folder: flip(shard(folder)), "damaged|was changed since"),
        (lambda folder: another(shard(folder)), "was changed since"),
        (lambda folder: flip(shard(folder).with_suffix(".npy")), "npy' was changed since"),
        (more, "holds 'more.tfrecord', which is not in its index.json"),
    ],
)  # fmt: skip
def test_a_changed_folder_is_refused(folder, damage, reason):
    damage(folder)
    with pytest.raises(UserError, match=reason):
        read(folder)


def test_an_unfinished_folder_says_so_whatever_lies_there(folder):
    """Killed before a shard was whole; after some; and when only the index was missing."""
    (folder / "index.json").unlink()
    (folder / ".partial").mkdir()
    for path in folder.glob("*.tfrecord"):
        path.rename(folder / ".partial" / path.name)
    with pytest.raises(UserError, match=r"no finished prepared shards.*goes on"):
        read(folder)
    shutil.copy(folder / ".partial" / shard(folder).name, folder)
    with pytest.raises(UserError, match="no finished prepared shards"):
        read(folder)
    (folder / ".partial").rename(folder / "elsewhere")
    with pytest.raises(UserError, match="no finished prepared shards"):
        read(folder)


def test_some_shards_are_no_catalogue(folder, tmp_path):
    for some in (shard(folder), f"{folder}/*-0000[01]-of-*"):
        with pytest.raises(UserError, match=f"read as a whole. Expected --catalogue={folder}"):
            read(some)
    alone = shutil.copy(shard(folder), tmp_path)
    with pytest.raises(UserError, match="no finished prepared shards"):
        read(alone)


def test_a_glob_over_two_folders_reads_both(folder):
    """Item for item, so that nobody takes it for a larger catalogue with copies: ids tell."""
    shutil.copytree(folder, folder.parent / "other")
    assert len(read(f"{folder.parent}/*/*.tfrecord")) == 2 * COUNT


def test_records_of_others_need_no_index(tmp_path):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"]))
    record = tf.train.Example(features=tf.train.Features(feature={"name": feature}))
    with tf.io.TFRecordWriter(str(tmp_path / "items-00000-of-00002.tfrecord")) as writer:
        writer.write(record.SerializeToString())
    assert len(read(tmp_path)) == 1
    (tmp_path / "index.json").write_text('{"pages": 3}')
    assert len(read(f"{tmp_path}/*.tfrecord")) == 1


@pytest.mark.parametrize("damage", ["none", "table", "lacks"])
def test_a_remote_folder_is_checked_too(whole, damage):
    files, there = fsspec.filesystem("memory"), f"/prepared_files_{damage}"
    files.put(f"{whole}/", f"{there}/", recursive=True)
    table = f"{there}/{shard(whole).with_suffix('.npy').name}"
    try:
        if damage == "none":
            assert len(read(f"memory:/{there}")) == COUNT
            return
        if damage == "table":
            files.pipe(table, bytes(files.size(table)))
        else:
            files.rm(table)
        with pytest.raises(UserError, match=r"was changed since|lacks"):
            read(f"memory:/{there}")
    finally:
        files.rm(there, recursive=True)


def test_a_table_of_splits_is_checked_too(folder):
    """No record's checksum tells that it was moved from training to testing."""
    path = shard(folder).with_suffix(".npy")
    table = np.load(path)
    table["split"] = 3
    np.save(path, table)
    with pytest.raises(UserError, match="was changed since it was written"):
        read(folder)
