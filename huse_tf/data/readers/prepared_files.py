"""Shards of a prepared folder are read as its index says: all of them, and none that was changed since."""

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
    check_file,
    check_names,
    parse_index,
    unfinished,
)
from huse_tf.errors import UserError

_ENDINGS = (".tfrecord", TABLE_ENDING)


def whole_folder(file_system: AbstractFileSystem, folder: str) -> tuple[str, ...] | None:
    """The paths of a prepared folder's shards, in order; None for a folder of other TFRecords.

    Raises:
        UserError: it is not finished, its index is damaged, or a shard or table is missing, one too many,
            or cut.
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
    check_names(index, entries, folder)
    for shard in index.shards:
        if entries[shard.name] != shard.bytes:
            raise UserError(
                f"{posixpath.join(folder, shard.name)!r} does not fit its {INDEX}. Expected {shard.bytes} "
                f"bytes. Received: {entries[shard.name]}. Restore it, or delete the folder and prepare it "
                "anew."
            )
    return _paths(index, folder)


def check_whole(file_system: AbstractFileSystem, files: Iterable[str]) -> None:
    """Refuses some shards of a prepared folder without the others.

    Raises:
        UserError: a shard is not among the files.
    """
    files = set(files)
    for folder in sorted({posixpath.dirname(file) for file in files}):
        shards: tuple[str, ...] = ()
        # Beside files of others there may be any index.json; beside shards their reader refuses it.
        with contextlib.suppress(UserError):
            shards = _paths(_index(file_system, folder), folder)
        if shards and (left_out := sorted(set(shards) - files)):
            raise UserError(
                f"A prepared folder is read whole. Expected --catalogue={folder}. Received: some of its "
                f"files without {posixpath.basename(left_out[0])!r}."
            )


def check_content(file: CatalogueFile) -> None:
    """Compares a shard of a prepared folder, and its table, with the index beside it.

    Reads both through: a small part of the time that it takes to decode the images in them.

    Raises:
        UserError: there is no index, it does not know the shard, or one of the files was changed.
    """
    folder, name = posixpath.split(file.path)
    index = _index(file.file_system, folder)
    if index is None:
        raise unfinished(folder)
    known = {shard.name: shard for shard in index.shards}
    if name not in known:
        raise UserError(
            f"{file.location!r} is a shard of some prepared folder, but not of the one that it lies in. "
            f"Expected --catalogue=FOLDER with {', '.join(known)}."
        )
    table = known[name].table_name
    beside = CatalogueFile(table, file.file_system, posixpath.join(folder, table))
    check_file(file.local_path(), known[name].sha256)
    check_file(beside.local_path(), known[name].table_sha256)


def _paths(index: Index | None, folder: str) -> tuple[str, ...]:
    return tuple(posixpath.join(folder, shard.name) for shard in index.shards) if index else ()


def _index(file_system: AbstractFileSystem, folder: str) -> Index | None:
    path = posixpath.join(folder, INDEX)
    if not file_system.isfile(path):
        return None
    file = CatalogueFile(INDEX, file_system, path)
    with file.open() as stream:
        return parse_index(stream.read(), file.location)
