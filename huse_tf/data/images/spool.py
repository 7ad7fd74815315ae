"""Images that have no file of their own, kept once each, under the hash of their bytes."""

from __future__ import annotations

import hashlib
import pathlib

from huse_tf import files


class Spool:
    """A folder of files named by the sha256 of their content: `ab/ab12…`.

    Processes and threads may write to it at once; equal bytes are one file.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Takes a folder, which need not exist."""
        self._folder = folder

    def keep(self, data: bytes) -> str:
        """The absolute path of a file with these bytes."""
        name = hashlib.sha256(data).hexdigest()
        path = (self._folder / name[:2] / name).absolute()
        # Of another length is what a full disk or a power failure left.
        if not path.is_file() or path.stat().st_size != len(data):
            with files.replacing(path) as temporary:
                temporary.write_bytes(data)
        return str(path)
