"""Atomic writing: a file or folder gets a temporary name, and its own name when it is complete."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from huse_tf.errors import UserError

# Prefix of the names of files and folders that are not complete yet.
_WRITING = ".writing-"
# Message of the system -> its error number. Libraries put these messages into their own errors.
_SAID_OF_DISKS = {
    os.strerror(number): number
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
}


def _read_umask() -> int:
    """The umask. Reading it means setting it for all threads, so this happens once, on import."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


_UMASK = _read_umask()


@contextlib.contextmanager
def disk_faults(path: pathlib.Path) -> Iterator[None]:
    """Turns any library's error about a full or broken disk into the OSError with the path.

    Raises:
        OSError: the block raised an error whose message names a fault of the disk.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = next((n for text, n in _SAID_OF_DISKS.items() if text in str(error)), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary file beside `path`. It is renamed to `path` if the block succeeds, else removed.

    Raises:
        OSError: the disk is full or broken, or the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_faults(path):
        handle, name = tempfile.mkstemp(
            prefix=f"{_WRITING}{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = pathlib.Path(name)
        try:
            yield temporary
            # mkstemp makes the file private. Give it the permissions of the user's other files.
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `path`. It replaces `path` if the block succeeds, else it is removed.

    Raises:
        OSError: as in `replacing`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_faults(path):
        temporary = pathlib.Path(
            tempfile.mkdtemp(prefix=f"{_WRITING}{path.name}-", dir=path.parent)
        )
        try:
            yield temporary
            temporary.chmod(0o777 & ~_UMASK)
            remove(path)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: pathlib.Path) -> None:
    """Removes incomplete files that killed processes left in a folder and in its direct subfolders.

    The caller must have locked the folder. Links are not followed, because they may lead to a folder in
    which another process writes.
    """
    inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    for each in (folder, *inner):
        for path in each.glob(f"{_WRITING}*"):
            remove(path)


def remove(path: pathlib.Path) -> None:
    """Removes a file, a folder, or a link (not its target). Does nothing if `path` does not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_special(path: pathlib.Path | str) -> bool:
    """Whether `path` is a pipe, a device or a socket. Reading one of these may never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # no such file, or not a valid path
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a UTF-8 text file atomically; raises as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: pathlib.Path, tree: Any) -> None:
    """Writes a JSON file atomically; raises as `json_text` and `replacing` do."""
    write_text(path, json_text(tree))


def json_text(tree: Any) -> str:
    """Indented JSON that ends with a newline.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file; raises OSError or ValueError."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(*parts: bytes | str) -> str:
    """The hex digest of several parts. Lengths are hashed too: ("ab", "c") differs from ("a", "bc")."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def sha256_file(path: pathlib.Path) -> str:
    """The hex digest of a file's bytes, as `sha256sum` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
