"""Opens files of a catalogue as streams of bytes: local or remote, compressed or not."""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import lzma
import pathlib
import posixpath
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from huse_tf.errors import UserError
from huse_tf.files import is_special

COMPRESSIONS: dict[str, Callable[[Any], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


@dataclasses.dataclass(frozen=True)
class CatalogueFile:
    """One file of a catalogue.

    Attributes:
        name: path relative to the catalogue's folder, as in `Record.file`.
        file_system, path: location.
    """

    name: str
    file_system: AbstractFileSystem
    path: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.file_system, LocalFileSystem)

    @property
    def location(self) -> str:
        """The path of a local file, the URL of a remote one."""
        return self.path if self.is_local else self.file_system.unstrip_protocol(self.path)

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The stream of its bytes. .gz, .bz2 and .xz files are decompressed.

        Raises:
            UserError: the file is missing or cannot be read, or its compressed data are damaged.
        """
        decompressed = COMPRESSIONS.get(posixpath.splitext(self.path)[1].lower())
        try:
            with contextlib.ExitStack() as stack:
                stream = stack.enter_context(self._raw())
                if decompressed:
                    stream = stack.enter_context(decompressed(stream))
                yield stream
        except FileNotFoundError as error:
            raise UserError(
                f"No catalogue lies at {self.location!r}. Check --catalogue."
            ) from error
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise self.unreadable(error) from error

    def local_path(self) -> pathlib.Path:
        """The path of the file, or of a temporary copy of a remote file.

        Raises:
            UserError: the file is missing or cannot be read.
        """
        with self.open():  # raises if the file is missing or unreadable
            pass
        if self.is_local:
            return pathlib.Path(self.path)
        try:
            return pathlib.Path(fsspec.open_local(f"simplecache::{self.location}"))
        except OSError as error:
            raise self.unreadable(error) from error

    def _raw(self) -> IO[bytes]:
        if self.is_local and is_special(self.path):
            raise UserError(
                f"The catalogue {self.location!r} is not a regular file. A pipe or a device may never end, "
                "and a catalogue is read more than once. Write the stream into a file first."
            )
        try:
            return self.file_system.open(self.path, "rb")
        except OSError:
            raise
        except Exception as error:  # file systems raise exceptions of any kind
            raise self.unreadable(error) from error

    def unreadable(self, error: Exception) -> UserError:
        """The error for an existing file that cannot be read."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return UserError(f"The catalogue {self.location!r} cannot be read: {reason}.")
