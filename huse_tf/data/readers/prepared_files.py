"""Checks of a prepared folder before it is read: all shards are present, and none was changed."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterable

from fsspec import AbstractFileSystem

from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.shards.shard_index import (
    INDEX,
    PARTIAL,
    TABLE_ENDING,
    Index,
    check_digest,
    check_shard_names,
    parse_index,
    unfinished,
)
from huse_tf.errors import UserError

_ENDINGS = (".tfrecord", TABLE_ENDING)


def whole_folder(file_system: AbstractFileSystem, folder: str) -> tuple[str, ...] | None:
    """The paths of a prepared folder's shards, in order; None for a folder with other TFRecord files.

    Raises:
        UserError: the folder is unfinished, its index is damaged, a shard or table is missing or has
            another size, or there is a shard that is not in the index.
    """
    index = _index(file_system, folder)
    if index is None:
        if file_system.isdir(posixpath.join(folder, PARTIAL)):
            raise unfinished(folder)
        return None
    entries = {
        posixpath.basename(entry["name"]): entry["size"]
        for entry in file_system.ls(folder, detail=True)
        if entry["name"].endswith(_ENDINGS)
    }
    check_shard_names(index, entries, folder)
    for shard in index.shards:
        if entries[shard.name] != shard.bytes:
            raise UserError(
                f"{posixpath.join(folder, shard.name)!r} does not fit its {INDEX}. Expected {shard.bytes} "
                f"bytes. Received: {entries[shard.name]}. Restore it, or delete the folder and prepare it "
                "again."
            )
    return _paths(index, folder)


def check_whole(file_system: AbstractFileSystem, files: Iterable[str]) -> None:
    """Refuses files that are only a part of a prepared folder.

    Raises:
        UserError: a shard of the folder is not among the files.
    """
    files = set(files)
    for folder in sorted({posixpath.dirname(file) for file in files}):
        shards: tuple[str, ...] = ()
        # Other TFRecord files may stand beside any index.json. A bad index of shards is refused later.
        with contextlib.suppress(UserError):
            shards = _paths(_index(file_system, folder), folder)
        if shards and (left_out := sorted(set(shards) - files)):
            raise UserError(
                f"A prepared folder must be read as a whole. Expected --catalogue={folder}. Received: some "
                f"of its files, without {posixpath.basename(left_out[0])!r}."
            )


def check_content(file: CatalogueFile) -> None:
    """Compares the checksums of a shard and of its table with the index in the same folder.

    Reads both files once, which takes a small part of the time to decode their images.

    Raises:
        UserError: the index is missing, the shard is not in it, or one of the files was changed.
    """
    folder, name = posixpath.split(file.path)
    index = _index(file.file_system, folder)
    if index is None:
        raise unfinished(folder)
    known = {shard.name: shard for shard in index.shards}
    if name not in known:
        raise UserError(
            f"{file.location!r} is a shard of another prepared folder than the one that it lies in. "
            f"Expected --catalogue=FOLDER with {', '.join(known)}."
        )
    table = known[name].table_name
    beside = CatalogueFile(table, file.file_system, posixpath.join(folder, table))
    check_digest(file.local_path(), known[name].sha256)
    check_digest(beside.local_path(), known[name].table_sha256)


def _paths(index: Index | None, folder: str) -> tuple[str, ...]:
    return tuple(posixpath.join(folder, shard.name) for shard in index.shards) if index else ()


def _index(file_system: AbstractFileSystem, folder: str) -> Index | None:
    path = posixpath.join(folder, INDEX)
    if not file_system.isfile(path):
        return None
    file = CatalogueFile(INDEX, file_system, path)
    with file.open() as stream:
        return parse_index(stream.read(), file.location)
