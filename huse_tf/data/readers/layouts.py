"""What the readers of public data sets share: texts in files of their own, and a validation split."""

from __future__ import annotations

import os
import zlib

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from huse_tf.data.table.records import BadCellError
from huse_tf.errors import UserError

MAX_TEXT_BYTES = 4_000_000  # of a text; a cell of so many bytes may have a million characters
TRAIN, VALIDATION, TEST = "train", "validation", "test"


def read_text(file_system: AbstractFileSystem, folder: str, path: str) -> str:
    """The text of a small file; "" if there is no such file.

    Args:
        file_system: local or remote.
        folder: the data set's folder.
        path: the file.

    Raises:
        BadCellError: the file is too large, not a regular file, or reached by a link out of the folder.
    """
    if not file_system.exists(path):
        return ""
    if isinstance(file_system, LocalFileSystem):
        root = os.path.realpath(folder)
        if os.path.commonpath([root, os.path.realpath(path)]) != root:
            raise BadCellError("text lies outside the folder")
        if not os.path.isfile(path):
            raise BadCellError("text is not a regular file")
    with file_system.open(path, "rb") as stream:
        data = stream.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise BadCellError(f"text has too many bytes: more than {MAX_TEXT_BYTES}")
    return decode(data)


def decode(data: bytes) -> str:
    """UTF-8 as text; other bytes as Latin-1, which some of the data sets are in.

    Examples:
        >>> decode("é".encode()), decode(b"caf\\xe9")
        ('é', 'café')
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def hold_out(key: str, one_in: int) -> str:
    """The split of a training item: about one in `one_in` is for validation, always the same ones.

    Equal keys share a split, so the key of a product keeps its items together.

    Examples:
        >>> [hold_out(key, 2) for key in "abcd"]
        ['train', 'validation', 'train', 'train']
    """
    return VALIDATION if zlib.crc32(key.encode()) % one_in == 0 else TRAIN


def missing_part(data_set: str, folder: str, expected: str) -> UserError:
    """The error for a folder that does not have the layout."""
    return UserError(
        f"The folder {folder!r} does not have the layout of {data_set}. Expected {expected} in it. "
        "Check --catalogue; docs/guides/public_data.md shows the layouts."
    )
