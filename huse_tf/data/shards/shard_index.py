"""`index.json` of a prepared folder: which shards it has, and how each can be told from a damaged one.

It is written last. A folder without it is not finished, and a shard that does not fit it is not read.
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
PARTIAL = ".partial"  # folder of what is not finished
_MAX_BYTES = 100_000_000  # of an index; one of 512 shards and 10,000 classes has 1 MB


@dataclasses.dataclass(frozen=True)
class ShardInfo:
    """What the index tells of a shard: number of records, size in bytes, sha256 of both files."""

    name: str
    records: int
    bytes: int
    sha256: str
    table_sha256: str

    @property
    def table_name(self) -> str:
        """Of the file with the offsets."""
        return str(pathlib.PurePath(self.name).with_suffix(TABLE_ENDING))


@dataclasses.dataclass(frozen=True)
class Index:
    """The content of `index.json`.

    Attributes:
        shards: in order.
        fingerprint: of what the folder was made from.
        metadata: what the writer had to tell, as JSON.
    """

    shards: tuple[ShardInfo, ...]
    fingerprint: str
    metadata: dict[str, Any]

    @property
    def records(self) -> int:
        """Number of records in all shards."""
        return sum(shard.records for shard in self.shards)


def shard_name(shard: int, num_shards: int) -> str:
    return f"items-{shard:05d}-of-{num_shards:05d}.tfrecord"


def seal(folder: pathlib.Path, index: Index, records: int) -> None:
    """Writes `index.json`; the last step, after which the folder can be read.

    Removes the shards that an earlier, unfinished run into another number of shards left.

    Args:
        folder: with all shards.
        index: of them.
        records: number of records that were to be written.

    Raises:
        UserError: the shards hold another number of records.
    """
    if index.records != records:
        raise UserError(
            f"The shards in {str(folder)!r} hold {index.records} records of {records}, so something "
            "else wrote into the folder, or the disk lost data. Delete the folder and prepare it anew."
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
        UserError: there is none, or not one of this schema.
    """
    path = folder / INDEX
    if not path.is_file():
        raise unfinished(str(folder))
    with open(path, "rb") as file:
        return parse_index(file.read(_MAX_BYTES), str(path))


def unfinished(folder: str) -> UserError:
    """The error for a folder without an index."""
    return UserError(
        f"No prepared shards lie in {folder!r}, or they are not finished. Expected a folder with {INDEX}, "
        "which `python -m huse_tf.prepare` writes when all shards are whole. Start the same command "
        "again: it goes on where it was cut short."
    )


def parse_index(data: bytes, path: str) -> Index:
    """The index that a file holds.

    Args:
        data: content of the file.
        path: of the file, for messages.

    Raises:
        UserError: it is damaged, or not one of this schema.
    """
    try:
        tree = json.loads(data.decode())
        shards = tuple(ShardInfo(**shard) for shard in tree["shards"])
        index = Index(shards, tree["fingerprint"], dict(tree["metadata"]))
        schema = tree["schema"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{path!r} is not an index of prepared shards: {error!r}. Restore it, or delete the folder "
            "and prepare it anew."
        ) from error
    names = tuple(shard_name(number, len(shards)) for number in range(len(shards)))
    if schema != SCHEMA or tuple(shard.name for shard in shards) != names:
        raise UserError(
            f"{path!r} cannot be read. Expected schema {SCHEMA} and shards named like "
            f"{shard_name(0, len(shards) or 1)!r}. Received: schema {schema!r}. Delete the folder and "
            "prepare it anew."
        )
    return index


def check_names(index: Index, present: Iterable[str], folder: str) -> None:
    """Compares the files of a folder with its index.

    Args:
        index: of the folder.
        present: names of the shards and tables that lie there.
        folder: for the message.

    Raises:
        UserError: one is missing, or there is one that the index does not know.
    """
    present = set(present)
    known = {name for shard in index.shards for name in (shard.name, shard.table_name)}
    if missing := sorted(known - present):
        raise UserError(
            f"The prepared folder {folder!r} lacks {missing[0]!r}. Expected all {len(index.shards)} shards "
            f"that its {INDEX} names, each with its table. Restore it, or delete the folder and prepare "
            "it anew."
        )
    if odd := sorted(name for name in present - known if name.endswith(".tfrecord")):
        raise UserError(
            f"The prepared folder {folder!r} holds {odd[0]!r}, which its {INDEX} does not know. Expected "
            "its own shards only. Move the file elsewhere."
        )


def verify(folder: pathlib.Path) -> Index:
    """Reads the whole folder and compares it with its index.

    Raises:
        UserError: a shard or its table is missing, or is not what was written.
    """
    index = read_index(folder)
    for shard in index.shards:
        check_shard(folder, shard)
    return index


def check_shard(folder: pathlib.Path, shard: ShardInfo) -> None:
    """Reads a shard and its table and compares them with what was written.

    Raises:
        UserError: one of them is missing or differs.
    """
    check_file(folder / shard.name, shard.sha256)
    check_file(folder / shard.table_name, shard.table_sha256)


def check_file(path: pathlib.Path, expected: str) -> None:
    """Compares a file's sha256 with the expected one; errors as of `check_shard`."""
    received = files.sha256_file(path) if path.is_file() else "no such file"
    if received != expected:
        raise UserError(
            f"{str(path)!r} is not what was written there. Expected sha256 {expected}. "
            f"Received: {received}. Restore it, or delete the folder and prepare it anew."
        )
