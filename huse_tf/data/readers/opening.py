"""Files of a catalogue, local or remote, compressed or not, as streams of bytes."""

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
    """One file.

    Attributes:
        name: its path from the catalogue's folder, as records tell it.
        file_system, path: where it lies.
    """

    name: str
    file_system: AbstractFileSystem
    path: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.file_system, LocalFileSystem)

    @property
    def location(self) -> str:
        """Its path, or its URL where it is not local."""
        return self.path if self.is_local else self.file_system.unstrip_protocol(self.path)

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The stream of its bytes, decompressed if its ending says that they are compressed.

        Raises:
            UserError: it is missing, cannot be read, or is damaged where it is compressed.
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
        """The file, or a temporary copy of it if it is remote.

        Raises:
            UserError: it is missing or cannot be read.
        """
        with self.open():  # refuses one that is missing or unreadable
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
                f"The catalogue {self.location!r} is no file: reading a pipe or a device may never end, and "
                "a catalogue is read more than once. Expected a file; write the stream into one first."
            )
        try:
            return self.file_system.open(self.path, "rb")
        except OSError:
            raise
        except Exception as error:  # of any kind: file systems raise what they like
            raise self.unreadable(error) from error

    def unreadable(self, error: Exception) -> UserError:
        """The error for a file that is there but cannot be read."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return UserError(f"The catalogue {self.location!r} cannot be read: {reason}.")
