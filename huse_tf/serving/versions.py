"""Version folders NAME/1, NAME/2 …, as TF Serving watches them. A version appears complete or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

import filelock
from absl import logging

from huse_tf.errors import UserError
from huse_tf.files import disk_faults, remove
from huse_tf.locks import LOCK

_VERSION = re.compile(r"[1-9][0-9]*", re.ASCII)
_TEMPORARY = re.compile(r"\.[1-9][0-9]*-\w+", re.ASCII)


def next_version(folder: pathlib.Path) -> int:
    """The highest version under `folder` plus one, or 1 if there is no version."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return 1 + max((int(name) for name in names if _VERSION.fullmatch(name)), default=0)


@contextlib.contextmanager
def alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Locks the folder NAME, so that no other process takes the version that the block chooses.

    Waits while another process holds the lock. Removes temporary folders of killed processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        logging.info("Another process exports into %s. Waiting for it.", folder)
        lock.acquire()
    try:
        _remove_leftovers(folder)
        yield
    finally:
        lock.release()


def _remove_leftovers(folder: pathlib.Path) -> None:
    """Removes the temporary folders that no running process holds."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            lock = filelock.FileLock(path / LOCK, blocking=False)
            with contextlib.suppress(filelock.Timeout, OSError), lock:
                remove(path)


def _held_folder(folder: pathlib.Path) -> tuple[pathlib.Path, filelock.BaseFileLock]:
    """A temporary folder for a version, and the lock that this process holds on it."""
    while True:
        path = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        lock = filelock.FileLock(path / LOCK, blocking=False)
        try:
            lock.acquire()
            return path, lock
        except (filelock.Timeout, FileNotFoundError):
            continue  # another process has just removed it as a leftover


@contextlib.contextmanager
def new_version(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder to fill. It is renamed to `folder` if the block succeeds, else removed.

    TF Serving ignores the temporary folder, because its name is not a number.

    Args:
        folder: the new folder NAME/VERSION.

    Raises:
        UserError: VERSION is not a positive whole number, or the version exists.
    """
    if not _VERSION.fullmatch(folder.name):
        raise UserError(
            f"{str(folder)!r} is not a version's folder. Expected a name that is a whole number from 1, "
            f"without leading zeros. Received: {folder.name!r}."
        )
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with disk_faults(folder):
        temporary, lock = _held_folder(folder)
        try:
            yield temporary
            # mkdtemp makes the folder private, but a server often runs as another user.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            refuse_existing(folder)
            (temporary / LOCK).unlink()
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            lock.release()


def refuse_existing(folder: pathlib.Path) -> None:
    """Raises UserError if the version NAME/VERSION exists."""
    if folder.exists() or folder.is_symlink():
        raise UserError(
            f"Version {folder.name} exists already: {str(folder)!r}. An existing version is never "
            f"overwritten, because a server may use it. The next free version is {next_version(folder.parent)}."
        )
