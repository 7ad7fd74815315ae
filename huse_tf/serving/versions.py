"""Version folders NAME/1, NAME/2 …, the way TF Serving watches them: whole or not there at all."""

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
    """One more than the highest version under `folder`; 1 where there is none."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return 1 + max((int(name) for name in names if _VERSION.fullmatch(name)), default=0)


@contextlib.contextmanager
def alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Holds the folder NAME, so that a version that is chosen in the block is nobody else's.

    Waits while another process does so. What processes that died left in it is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        logging.info("Another process exports into %s; waits for it.", folder)
        lock.acquire()
    try:
        _remove_leftovers(folder)
        yield
    finally:
        lock.release()


def _remove_leftovers(folder: pathlib.Path) -> None:
    """Removes the temporary folders that no living process holds."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            lock = filelock.FileLock(path / LOCK, blocking=False)
            with contextlib.suppress(filelock.Timeout, OSError), lock:
                remove(path)


def _held_folder(folder: pathlib.Path) -> tuple[pathlib.Path, filelock.BaseFileLock]:
    """A temporary folder for a version, and the lock that tells that its maker lives."""
    while True:
        path = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        lock = filelock.FileLock(path / LOCK, blocking=False)
        try:
            lock.acquire()
            return path, lock
        except (filelock.Timeout, FileNotFoundError):
            continue  # taken for a leftover in this very moment


@contextlib.contextmanager
def new_version(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder to fill; it becomes `folder` when the block ends well, and goes otherwise.

    TF Serving takes no notice of the temporary one: its name is not a number.

    Args:
        folder: NAME/VERSION, not there yet.

    Raises:
        UserError: VERSION is no positive whole number, or the version exists.
    """
    if not _VERSION.fullmatch(folder.name):
        raise UserError(
            "A version is a whole number from 1, without leading zeros. "
            f"Received: {folder.name!r}, in {str(folder)!r}."
        )
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with disk_faults(folder):
        temporary, lock = _held_folder(folder)
        try:
            yield temporary
            # mkdtemp makes folders private, but the server often runs as another user.
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
    """Raises UserError where the version NAME/VERSION exists."""
    if folder.exists() or folder.is_symlink():
        raise UserError(
            f"Version {folder.name} exists already: {str(folder)!r}. A version that may be in use "
            f"is never overwritten; the next free one is {next_version(folder.parent)}."
        )
