"""Reader of image folders: folder/class/subclass/image.jpg, where the folders' names are the class path."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from fsspec import AbstractFileSystem

from huse_tf.data.table.records import Record
from huse_tf.errors import UserError


class ImageFolderSource:
    """Every file in the folder is a row, in the order of their names. Hidden files are skipped.

    The product is the image's path without its extension. The text column exists but is empty, so that
    the same settings read tables and folders. A link to a folder is not followed; it gives a row whose
    image is not a file.
    """

    columns: tuple[str, ...] = ("product_id", "image", "name", "classes")
    optional = False

    def __init__(self, file_system: AbstractFileSystem, folder: str, class_separator: str) -> None:
        self._file_system = file_system
        self._folder = folder
        self._separator = class_separator

    def __iter__(self) -> Iterator[Record]:
        for row, path in enumerate(files_under(self._file_system, self._folder), start=1):
            image = posixpath.relpath(path, self._folder)
            levels = posixpath.dirname(image).split("/")
            if any(self._separator in level for level in levels):
                fault = f"folder name with the class separator in it: {image}"
                yield Record(image, row, {}, fault)
                continue
            cells = {
                "product_id": posixpath.splitext(image)[0],
                "image": image,
                "classes": self._separator.join(levels),
            }
            yield Record.of(image, row, cells)


def files_under(file_system: AbstractFileSystem, folder: str) -> Iterator[str]:
    """The paths of all files, sorted within each folder. One folder at a time is in memory.

    Hidden files and folders are left out. A link to a folder is given like a file and not followed.

    Raises:
        UserError: a folder cannot be read.
    """
    try:
        entries = file_system.ls(folder, detail=True)
    except OSError as error:
        raise UserError(f"The folder {folder!r} cannot be read: {error.strerror}.") from error
    for entry in sorted(entries, key=lambda entry: entry["name"]):
        path = entry["name"].rstrip("/")
        if posixpath.basename(path).startswith("."):
            continue
        if entry["type"] == "directory" and not entry.get("islink"):
            yield from files_under(file_system, path)
        else:
            yield path
