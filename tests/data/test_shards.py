"""The prepared folder: what is in it, and that damage is told."""

import hashlib
import json
import struct

import numpy as np
import pytest
import tensorflow as tf
from tiny_shards import RECORDS, tiny_folder

from huse_tf import files
from huse_tf.data.shards import shard_files, shard_index
from huse_tf.errors import UserError


@pytest.fixture
def folder(tmp_path):
    tiny_folder(tmp_path / "prepared")
    return tmp_path / "prepared"


def test_a_shard_is_the_hash_of_the_key():
    """sha256("item-7") begins with the bytes below; the first 8, as a number, modulo 3."""
    start = int(hashlib.sha256(b"item-7").hexdigest()[:16], 16)
    assert shard_files.shard_of("item-7", 3) == start % 3
    counts = np.bincount([shard_files.shard_of(str(n), 4) for n in range(4000)])
    assert counts.min() > 900  # Even, by chance: 1000 ± 27.


def test_files_hold_each_record_once_by_key(folder):
    index = shard_index.read_index(folder)
    assert [shard.name for shard in index.shards] == [
        shard_index.shard_name(i, 3) for i in range(3)
    ]
    assert (index.fingerprint, index.metadata) == ("f", {"classes": 4})
    for number, shard in enumerate(index.shards):
        expected = [d for k, d in sorted(RECORDS) if shard_files.shard_of(k, 3) == number]
        assert list(shard_files.read_shard(folder / shard.name)) == expected
        assert (shard.records, shard.bytes) == (
            len(expected),
            (folder / shard.name).stat().st_size,
        )
        assert shard.sha256 == hashlib.sha256((folder / shard.name).read_bytes()).hexdigest()
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.json"} | {
        f"items-0000{i}-of-00003.{e}" for i in range(3) for e in ("npy", "tfrecord")
    }


def test_the_table_tells_where_records_lie(folder):
    for path in folder.glob("*.tfrecord"):
        table, data = np.load(path.with_suffix(".npy")), path.read_bytes()
        pieces = [data[row["offset"] : row["offset"] + row["length"]] for row in table]
        assert pieces == list(shard_files.read_shard(path))
        splits = [shard_files.SPLITS[row["split"]] for row in table]
        assert splits == [
            tf.train.Example.FromString(p).features.feature["split"].bytes_list.value[0].decode()
            for p in pieces
        ]


def test_one_shard_by_itself_is_the_same(folder, tmp_path):
    """What a Beam worker does."""
    for number in range(3):
        records = [r for r in RECORDS if shard_files.shard_of(r[0], 3) == number]
        info = shard_files.write_shard(tmp_path / "alone", number, 3, records)
        assert info == shard_index.read_index(folder).shards[number]
        alone = (tmp_path / "alone" / info.name).read_bytes()
        assert alone == (folder / info.name).read_bytes()


def test_an_empty_shard(tmp_path):
    info = shard_files.write_shard(tmp_path, 0, 1, [])
    assert (info.records, info.bytes) == (0, 0)
    assert list(shard_files.read_shard(tmp_path / info.name)) == []


def test_keys_are_distinct(tmp_path):
    with pytest.raises(UserError, match=f"Received twice: {RECORDS[3][0]!r}"):
        shard_files.write_shard(tmp_path, 0, 1, [RECORDS[2], RECORDS[3], RECORDS[3]])


def test_verify(folder):
    assert shard_index.verify(folder) == shard_index.read_index(folder)
    path = folder / shard_index.shard_name(1, 3)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-20] ^= 1
    path.write_bytes(flipped)
    expected, received = (hashlib.sha256(data).hexdigest() for data in (whole, flipped))
    with pytest.raises(UserError, match=f"00001-of-00003.*{expected}. Received: {received}"):
        shard_index.verify(folder)
    path.write_bytes(whole)
    path.with_suffix(".npy").unlink()
    with pytest.raises(UserError, match=r"00001-of-00003.npy.*no such file"):
        shard_index.verify(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tree: tree.update(schema=1), "Expected schema 2"),
        (lambda tree: tree["shards"][0].update(name="../../secret"), "shards named like"),
        (lambda tree: tree["shards"].pop(), "shards named like"),
        (lambda tree: tree["shards"][0].pop("sha256"), "is not an index"),
        (lambda tree: tree.pop("shards"), "is not an index"),
        (lambda tree: tree.update(metadata=3), "is not an index"),
    ],
)
def test_a_wrong_index_is_refused(folder, change, reason):
    tree = files.read_json(folder / "index.json")
    change(tree)
    files.write_json(folder / "index.json", tree)
    with pytest.raises(UserError, match=reason):
        shard_index.read_index(folder)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "3", json.dumps({"shards": [3]})])
def test_what_is_no_index_is_refused(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(UserError, match="is not an index"):
        shard_index.read_index(tmp_path)


def test_an_unfinished_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no finished prepared shards"):
        shard_index.read_index(tmp_path)


def framed(*records, length=None):
    """The TFRecord format: length, its masked CRC-32C, data, its masked CRC-32C."""
    whole = b""
    for data in records:
        head = struct.pack("<Q", len(data) if length is None else length)
        whole += head + masked_crc(head) + data + masked_crc(data)
    return whole


def masked_crc(data):
    """CRC-32C bit by bit (polynomial 0x1EDC6F41, reflected), then TensorFlow's rotation and sum."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def test_any_tfrecord_is_read(tmp_path):
    (tmp_path / "a").write_bytes(framed(b"one", b"", b"three" * 9))
    assert list(shard_files.read_shard(tmp_path / "a")) == [b"one", b"", b"three" * 9]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (framed(b"one", b"two")[:-1], "record 2, at byte 19, claims 3 bytes.*holds 2 more"),
        (framed(b"one") + b"\0\0\0", "record 2, at byte 19"),
        # With a correct checksum; TensorFlow would ask for as much memory and end the process.
        (framed(b"one", length=2**62), "record 1, at byte 0, claims 4611686018427387904 bytes"),
        (framed(b"one", length=2**63 + 5), "record 1"),
        (b"not a TFRecord file at all", "record 1"),
        (framed(b"one", b"two").replace(b"two", b"tvo"), "checksum of record 2 is wrong"),
        (framed(b"one", b"two").replace(b"one", b"onf"), "checksum of record 1 is wrong"),
    ],
)
def test_damage_names_file_and_record(tmp_path, data, reason):
    (tmp_path / "shard").write_bytes(data)
    with pytest.raises(UserError, match=f"shard' is damaged.*{reason}"):
        list(shard_files.read_shard(tmp_path / "shard"))


def test_records_before_the_damage_come_first(tmp_path):
    (tmp_path / "shard").write_bytes(framed(b"one", b"two", b"six").replace(b"six", b"sex"))
    records = shard_files.read_shard(tmp_path / "shard")
    assert [next(records), next(records)] == [b"one", b"two"]


def test_a_sparse_file_does_not_fill_memory(tmp_path):
    head = struct.pack("<Q", 2**40)
    with open(tmp_path / "shard", "wb") as file:
        file.write(head + masked_crc(head))
        file.truncate(2**41)
    with pytest.raises(UserError, match="a record has at most 268435456"):
        list(shard_files.read_shard(tmp_path / "shard"))
