"""One process at a time in a folder, for as long as that process lives."""

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
    """Holds a folder for this process until the block ends.

    The kernel holds the lock, so it ends with its owner, however that ends. The file `.lock` stays:
    it says nothing by being there. What killed owners left half written goes.

    Args:
        folder: made if it is not there.
        flag: the one that names the folder, such as "--run_dir"; for the message.

    Raises:
        UserError: another process (or another block of this one) holds it, or no file can be
            made in it.
    """
    lock = filelock.FileLock(folder / LOCK, blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        files.sweep(folder)
    except filelock.Timeout as error:
        raise UserError(
            f"Another process works in {str(folder)!r}, and two at once would mix their files. "
            f"Wait until it ends, or stop it; or give another {flag}."
        ) from error
    except OSError as error:
        raise UserError(
            f"Nothing can be written into {str(folder)!r}: {error.strerror or error}. Expected a folder "
            f"with room, of which you may change the files. Give another {flag}."
        ) from error
    try:
        yield
    finally:
        lock.release()
