"""Writes a stream of records of any length as a prepared folder; a killed run goes on where it stopped.

Records are first appended to one temporary file per shard. Then each shard is written record by record,
several shards in parallel. All files lie in `FOLDER/.partial` until the shards are complete.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import shutil
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import tqdm
from absl import logging

from huse_tf import files
from huse_tf.data.shards import shard_files, shard_index
from huse_tf.errors import UserError

MAX_SHARDS = 512  # One open file each.
_DEALT = "dealt.json"
_LENGTHS = struct.Struct("<II")  # Of key and data, before each record of a temporary file.


def write_shards(
    folder: pathlib.Path,
    records: Iterable[tuple[str, bytes]],
    num_shards: int,
    *,
    fingerprint: str,
    metadata: dict[str, Any],
    threads: int = 2,
) -> shard_index.Index:
    """Writes a prepared folder. Called again after a kill, it goes on where it stopped.

    Args:
        folder: the prepared folder. A finished one with the same fingerprint stays as it is.
        records: (key, serialized `examples.example`) of all items, sorted by their unique keys. Not
            iterated over if an earlier run read them to the end.
        num_shards: from 1 to MAX_SHARDS; a shard should have about 100 MB.
        fingerprint: hash of everything that decides the records.
        metadata: JSON values for the index.
        threads: number of shards that are written at the same time.

    Returns:
        The index of the folder.

    Raises:
        UserError: the folder holds other shards, a key occurs twice, or records were lost.
        ValueError: the keys are not sorted.
    """
    if not 1 <= num_shards <= MAX_SHARDS:
        raise UserError(f"The number of shards is from 1 to {MAX_SHARDS}. Received: {num_shards}.")
    finished = _finished(folder, num_shards, fingerprint)
    partial = folder / shard_index.PARTIAL
    if finished:
        shutil.rmtree(partial, ignore_errors=True)
        return finished
    if not _is_dealt(partial, num_shards, fingerprint):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        sizes, count = _deal(partial, records, num_shards)
        dealt = {"fingerprint": fingerprint, "sizes": sizes, "records": count}
        files.write_json(partial / _DEALT, dealt)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        infos = pool.map(lambda shard: _finish(partial, shard, num_shards), range(num_shards))
        bar = tqdm.tqdm(infos, "shards", total=num_shards, unit="", disable=None)
        index = shard_index.Index(tuple(bar), fingerprint, metadata)
    for shard in index.shards:
        for name in (shard.name, shard.table_name):
            (partial / name).replace(folder / name)
    shard_index.seal(folder, index, files.read_json(partial / _DEALT)["records"])
    shutil.rmtree(partial)
    return index


def _finished(folder: pathlib.Path, num_shards: int, fingerprint: str) -> shard_index.Index | None:
    """The index of a finished folder; None for an unfinished one.

    Raises:
        UserError: the folder holds other shards.
    """
    if not (folder / shard_index.INDEX).exists():
        return None
    index = shard_index.read_index(folder)
    if (index.fingerprint, len(index.shards)) != (fingerprint, num_shards):
        raise UserError(
            f"{str(folder)!r} holds {len(index.shards)} prepared shards of another catalogue or with other "
            "settings. Give another folder, or delete this one."
        )
    return index


def _is_dealt(partial: pathlib.Path, num_shards: int, fingerprint: str) -> bool:
    """Whether an earlier run distributed these records and its files are whole."""
    if not (partial / _DEALT).is_file():
        return False
    try:
        dealt = files.read_json(partial / _DEALT)
        if (dealt["fingerprint"], len(dealt["sizes"])) != (fingerprint, num_shards):
            return False
        for shard, size in enumerate(dealt["sizes"]):
            _check_left(partial, shard, size)
    # A full disk or a power failure may leave any bytes in these files.
    except (UserError, ValueError, KeyError, TypeError) as error:
        logging.warning("Writing all shards again: %s", error)
        return False
    return True


def _check_left(partial: pathlib.Path, shard: int, size: int) -> None:
    """Raises UserError unless the shard is whole, or its temporary file has this size."""
    info, file = _read_info(partial, shard), _dealt_file(partial, shard)
    if info is not None:
        shard_index.check_shard(partial, info)
    elif not file.is_file() or file.stat().st_size != size:
        raise UserError(f"{str(file)!r} is missing or was changed since it was written.")


def _deal(
    partial: pathlib.Path, records: Iterable[tuple[str, bytes]], num_shards: int
) -> tuple[list[int], int]:
    """Appends each record to its shard's temporary file.

    Returns:
        (the files' sizes in bytes, number of records).
    """
    count = 0
    with contextlib.ExitStack() as stack:
        dealt = [
            stack.enter_context(open(_dealt_file(partial, shard), "wb"))
            for shard in range(num_shards)
        ]
        for key, data in records:
            if len(data) > shard_files.MAX_RECORD_BYTES:
                raise UserError(
                    f"Item {key!r} has {len(data)} bytes, more than {shard_files.MAX_RECORD_BYTES}."
                )
            name = key.encode()
            dealt[shard_files.shard_of(key, num_shards)].writelines(
                (_LENGTHS.pack(len(name), len(data)), name, data)
            )
            count += 1
        return [file.tell() for file in dealt], count


def _finish(partial: pathlib.Path, shard: int, num_shards: int) -> shard_index.ShardInfo:
    """Writes a shard, unless an earlier run did, and removes its temporary file."""
    info = _read_info(partial, shard)
    if info is None:
        info = shard_files.write_shard(partial, shard, num_shards, _read_dealt(partial, shard))
        files.write_json(_info_file(partial, shard), vars(info))
    _dealt_file(partial, shard).unlink(missing_ok=True)
    return info


def _read_dealt(partial: pathlib.Path, shard: int) -> Iterator[tuple[str, bytes]]:
    with open(_dealt_file(partial, shard), "rb") as file:
        while lengths := file.read(_LENGTHS.size):
            of_key, of_data = _LENGTHS.unpack(lengths)
            yield file.read(of_key).decode(), file.read(of_data)


def _read_info(partial: pathlib.Path, shard: int) -> shard_index.ShardInfo | None:
    path = _info_file(partial, shard)
    return shard_index.ShardInfo(**files.read_json(path)) if path.is_file() else None


def _info_file(partial: pathlib.Path, shard: int) -> pathlib.Path:
    return partial / f"{shard:05d}.json"


def _dealt_file(partial: pathlib.Path, shard: int) -> pathlib.Path:
    return partial / f"{shard:05d}.dealt"
