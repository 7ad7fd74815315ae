"""Locks a folder for one process."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import filelock

from huse_tf import files
from huse_tf.errors import UserError

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: pathlib.Path, flag: str) -> Iterator[None]:
    """Locks a folder until the block ends, and removes incomplete files of killed processes.

    The kernel holds the lock, so it ends when this process ends, even if it is killed. The file `.lock`
    stays; it does not mean that the folder is locked.

    Args:
        folder: the folder. It is made if it does not exist.
        flag: name of the flag that sets the folder, such as "--run_dir", for the error message.

    Raises:
        UserError: another process or another block holds the lock, or the folder cannot be written to.
    """
    lock = filelock.FileLock(folder / LOCK, blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        files.sweep(folder)
    except filelock.Timeout as error:
        raise UserError(
            f"Another process works in {str(folder)!r}. Expected a folder that no process uses, because two "
            f"processes would mix their files. Wait until it ends, stop it, or give another {flag}."
        ) from error
    except OSError as error:
        raise UserError(
            f"Nothing can be written into {str(folder)!r}: {error.strerror or error}. Expected a folder "
            f"with free space that you may write to. Give another {flag}."
        ) from error
    try:
        yield
    finally:
        lock.release()
