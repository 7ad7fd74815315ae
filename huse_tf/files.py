"""Files that are whole or not there at all: written under a temporary name, then renamed."""

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

# Begins the names of what is not whole yet.
_WRITING = ".writing-"
# What libraries say in words of their own, with the system's among them.
_SAID_OF_DISKS = {
    os.strerror(number): number
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
}


def _read_umask() -> int:
    """It can only be read by setting it, for all threads; so this is done once, on import."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


_UMASK = _read_umask()


@contextlib.contextmanager
def disk_faults(path: pathlib.Path) -> Iterator[None]:
    """What any library says of a full or broken disk becomes the OSError of it, with the path."""
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
    """A temporary path beside `path`, renamed to it when the block ends well, removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_faults(path):
        handle, name = tempfile.mkstemp(
            prefix=f"{_WRITING}{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = pathlib.Path(name)
        try:
            yield temporary
            # mkstemp makes files private; a run folder is as readable as the user's other files.
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `path`, renamed to it when the block ends well, removed otherwise.

    What was at `path` goes.
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
    """Removes what killed processes left half written in a folder and in those it holds.

    Nobody else may be writing there. Links are not followed: they may lead to where somebody is.
    """
    inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    for each in (folder, *inner):
        for path in each.glob(f"{_WRITING}*"):
            remove(path)


def remove(path: pathlib.Path) -> None:
    """Removes a folder or file, or the link that stands for one, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_special(path: pathlib.Path | str) -> bool:
    """Whether a pipe, a device or a socket lies there, of which reading may never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # nothing, or nothing that a path can name
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_text(path: pathlib.Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: pathlib.Path, tree: Any) -> None:
    write_text(path, json_text(tree))


def json_text(tree: Any) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: pathlib.Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(*parts: bytes | str) -> str:
    """Hex digest of the parts; each is hashed with its length, so ("ab", "c") differs from ("a", "bc")."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def sha256_file(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
