"""Keeps images without a file of their own (bytes, base64, remote), each once, named by its hash."""

from __future__ import annotations

import hashlib
import pathlib

from huse_tf import files


class Spool:
    """A folder of files named by the sha256 of their content: `ab/ab12…`.

    Several processes and threads may write at the same time. Equal bytes are one file.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Takes the folder, which is created when needed."""
        self._folder = folder

    def keep(self, data: bytes) -> str:
        """Writes the bytes, if no file holds them yet, and returns the file's absolute path."""
        name = hashlib.sha256(data).hexdigest()
        path = (self._folder / name[:2] / name).absolute()
        # A full disk or a power failure may have left a file of another length.
        if not path.is_file() or path.stat().st_size != len(data):
            with files.replacing(path) as temporary:
                temporary.write_bytes(data)
        return str(path)
