"""`index.json` of a prepared folder: the names, sizes and checksums of its shards.

The index is written after all shards. A folder without an index is unfinished, and a shard that differs from
its entry in the index is not read.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from typing import Any

from huse_tf import files
from huse_tf.errors import UserError

SCHEMA = 2
INDEX = "index.json"
TABLE_ENDING = ".npy"
PARTIAL = ".partial"  # folder for files of an unfinished run
_MAX_BYTES = (
    100_000_000  # largest index that is read; with 512 shards and 10,000 classes it has 1 MB
)


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """A shard's entry: name, number of records, size in bytes, sha256 of the shard and of its table."""

    name: str
    records: int
    bytes: int
    sha256: str
    table_sha256: str

    @property
    def table_name(self) -> str:
        """Name of the file with the table of offsets."""
        return str(pathlib.PurePath(self.name).with_suffix(TABLE_ENDING))


@dataclasses.dataclass(frozen=True)
class Index:
    """The content of `index.json`.

    Attributes:
        shards: the shards, by number.
        fingerprint: hash of the catalogue and the settings that the folder was made from.
        metadata: further values of the writer, as JSON.
    """

    shards: tuple[ShardInfo, ...]
    fingerprint: str
    metadata: dict[str, Any]

    @property
    def records(self) -> int:
        """Number of records in all shards."""
        return sum(shard.records for shard in self.shards)


def shard_name(shard: int, num_shards: int) -> str:
    """The file name of a shard, counted from 0."""
    return f"items-{shard:05d}-of-{num_shards:05d}.tfrecord"


def seal(folder: pathlib.Path, index: Index, records: int) -> None:
    """Writes `index.json`, after which the folder can be read.

    Shards of an earlier, unfinished run with another number of shards are removed.

    Args:
        folder: the folder with all shards.
        index: the index to write.
        records: expected number of records in all shards.

    Raises:
        UserError: the shards hold another number of records.
    """
    if index.records != records:
        raise UserError(
            f"The shards in {str(folder)!r} hold {index.records} of {records} records. Another process "
            "wrote into the folder, or the disk lost data. Delete the folder and prepare it again."
        )
    names = {name for shard in index.shards for name in (shard.name, shard.table_name)}
    for ending in (".tfrecord", TABLE_ENDING):
        for path in folder.glob(f"items-[0-9]*-of-[0-9]*{ending}"):
            if path.name not in names:
                path.unlink()
    files.write_json(folder / INDEX, {"schema": SCHEMA, **dataclasses.asdict(index)})


def read_index(folder: pathlib.Path) -> Index:
    """Reads `index.json`.

    Raises:
        UserError: the index is missing, damaged or of another schema.
    """
    path = folder / INDEX
    if not path.is_file():
        raise unfinished(str(folder))
    with open(path, "rb") as file:
        return parse_index(file.read(_MAX_BYTES), str(path))


def unfinished(folder: str) -> UserError:
    """The error for a folder without an index."""
    return UserError(
        f"The folder {folder!r} has no finished prepared shards: it has no {INDEX}, which "
        "`python -m huse_tf.prepare` writes last. Start the same command again: it goes on where it "
        "stopped."
    )


def parse_index(data: bytes, path: str) -> Index:
    """Parses `index.json`.

    Args:
        data: content of the file.
        path: path of the file, for messages.

    Raises:
        UserError: the index is damaged or of another schema.
    """
    try:
        tree = json.loads(data.decode())
        shards = tuple(ShardInfo(**shard) for shard in tree["shards"])
        index = Index(shards, tree["fingerprint"], dict(tree["metadata"]))
        schema = tree["schema"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{path!r} is not an index of prepared shards: {error!r}. Restore it, or delete the folder "
            "and prepare it again."
        ) from error
    names = tuple(shard_name(number, len(shards)) for number in range(len(shards)))
    if schema != SCHEMA or tuple(shard.name for shard in shards) != names:
        raise UserError(
            f"{path!r} cannot be read. Expected schema {SCHEMA} and shards named like "
            f"{shard_name(0, len(shards) or 1)!r}. Received: schema {schema!r}. Delete the folder and "
            "prepare it again."
        )
    return index


def check_shard_names(index: Index, present: Iterable[str], folder: str) -> None:
    """Compares the files of a folder with its index.

    Args:
        index: the index of the folder.
        present: names of the shards and tables in the folder.
        folder: the folder, for messages.

    Raises:
        UserError: a file of the index is missing, or a shard is not in the index.
    """
    present = set(present)
    known = {name for shard in index.shards for name in (shard.name, shard.table_name)}
    if missing := sorted(known - present):
        raise UserError(
            f"The prepared folder {folder!r} lacks {missing[0]!r}. Expected all {len(index.shards)} shards "
            f"that its {INDEX} names, each with its table. Restore it, or delete the folder and prepare "
            "it again."
        )
    if odd := sorted(name for name in present - known if name.endswith(".tfrecord")):
        raise UserError(
            f"The prepared folder {folder!r} holds {odd[0]!r}, which is not in its {INDEX}. Expected "
            "its own shards only. Move the file elsewhere."
        )


def verify(folder: pathlib.Path) -> Index:
    """Reads the whole folder and compares its checksums with its index.

    Raises:
        UserError: a shard or its table is missing or was changed.
    """
    index = read_index(folder)
    for shard in index.shards:
        check_shard(folder, shard)
    return index


def check_shard(folder: pathlib.Path, shard: ShardInfo) -> None:
    """Reads a shard and its table and compares their checksums with the index.

    Raises:
        UserError: the shard or its table is missing or was changed.
    """
    check_digest(folder / shard.name, shard.sha256)
    check_digest(folder / shard.table_name, shard.table_sha256)


def check_digest(path: pathlib.Path, expected: str) -> None:
    """Raises UserError if the file is missing or has another sha256."""
    received = files.sha256_file(path) if path.is_file() else "no such file"
    if received != expected:
        raise UserError(
            f"{str(path)!r} was changed since it was written. Expected sha256 {expected}. "
            f"Received: {received}. Restore it, or delete the folder and prepare it again."
        )
