"""The shards of a prepared folder: TFRecords, and a table of offsets beside each.

    items-00000-of-00008.tfrecord  records that TensorFlow reads by itself, sorted by key
    items-00000-of-00008.npy       `TABLE`: where each record lies, so that any can be read alone

A record's shard is a function of its key, and a shard is sorted by key. So the bytes do not depend on the
order of the records, the number of writers, or the machine. `shard_index` holds the checks of a whole folder.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from huse_tf import files, keys
from huse_tf.data.shards.examples import split_of
from huse_tf.data.shards.shard_index import ShardInfo, shard_name
from huse_tf.errors import UserError

MAX_RECORD_BYTES = 256 * 2**20
SPLITS = ("", keys.TRAIN, keys.VALIDATION, keys.TEST, keys.UNSEEN)
# One row per record: offset and length of its data in bytes, zlib.crc32 of the data, and the index of its
# split in SPLITS.
TABLE = np.dtype([("offset", "<u8"), ("length", "<u4"), ("crc32", "<u4"), ("split", "u1")])
# A TFRecord is the data's length (8 bytes), a checksum of the length (4), the data, and their checksum (4).
_HEAD, _FOOT = 12, 4


def shard_of(key: str, num_shards: int) -> int:
    """The shard of a key, in [0, num_shards)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % num_shards


def write_shard(
    folder: pathlib.Path, shard: int, num_shards: int, records: Iterable[tuple[str, bytes]]
) -> ShardInfo:
    """Writes one shard and its table. Shards can be written by different processes and machines.

    Args:
        folder: the prepared folder.
        shard: index of this shard.
        num_shards: number of all shards.
        records: (key, serialized `examples.example`) of all items of this shard, sorted by key.

    Raises:
        UserError: two records have the same key.
        ValueError: the keys are not sorted.
    """
    path = folder / shard_name(shard, num_shards)
    rows = bytearray()
    with files.replacing(path) as temporary:
        offset = _HEAD
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for data in _in_order(records):
                writer.write(data)
                split = SPLITS.index(split_of(data))
                rows += np.array((offset, len(data), zlib.crc32(data), split), TABLE).tobytes()
                offset += len(data) + _FOOT + _HEAD
        table = np.frombuffer(rows, TABLE)
        size, sha256 = temporary.stat().st_size, files.sha256_file(temporary)
    with files.replacing(path.with_suffix(".npy")) as temporary:
        np.save(temporary, table, allow_pickle=False)
        table_sha256 = files.sha256_file(temporary)
    return ShardInfo(path.name, len(table), size, sha256, table_sha256)


def _in_order(records: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The data of the records. Raises where keys do not ascend."""
    previous = None
    for key, data in records:
        if key == previous:
            raise UserError(f"Every item needs a unique key. Received twice: {key!r}.")
        if previous is not None and key < previous:
            raise ValueError(
                f"Expected records sorted by key. Received: {key!r} after {previous!r}."
            )
        yield data
        previous = key


def read_shard(path: pathlib.Path) -> Iterator[bytes]:
    """Reads the records of any TFRecord file and checks their checksums.

    Raises:
        UserError: the file is cut short or damaged; names the record.
    """
    # TensorFlow allocates whatever length a record claims, so lengths are checked first.
    _check_lengths(path)
    record = 1
    try:
        for data in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield data
            record += 1
    except tf.errors.DataLossError as error:
        raise UserError(
            f"{str(path)!r} is damaged: the checksum of record {record} is wrong."
        ) from error


def _check_lengths(path: pathlib.Path) -> None:
    """Raises UserError unless the records' lengths add up to the size of the file."""
    record = 1
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while (start := file.tell()) < size:
            head = file.read(_HEAD)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else 0
            if length > MAX_RECORD_BYTES or start + _HEAD + length + _FOOT > size:
                raise UserError(
                    f"{str(path)!r} is damaged or not a TFRecord file: record {record}, at byte "
                    f"{start}, claims {length} bytes. The file holds "
                    f"{max(0, size - start - _HEAD - _FOOT)} more, and a record has at most "
                    f"{MAX_RECORD_BYTES}."
                )
            file.seek(length + _FOOT, os.SEEK_CUR)
            record += 1
