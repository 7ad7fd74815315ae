"""Finds the files of `--catalogue` and their format, and reads them as one source of records."""

from __future__ import annotations

import dataclasses
import glob
import pathlib
import posixpath
from collections.abc import Callable, Iterator, Sequence

import fsspec
from fsspec import AbstractFileSystem

from huse_tf.data.readers.delimited import DelimitedSource
from huse_tf.data.readers.fashion_gen import FashionGenSource
from huse_tf.data.readers.food101 import Food101Source
from huse_tf.data.readers.image_folder import ImageFolderSource
from huse_tf.data.readers.imagenet import ImageNetSource
from huse_tf.data.readers.jsonl import JsonLinesSource
from huse_tf.data.readers.opening import COMPRESSIONS, CatalogueFile
from huse_tf.data.readers.pascal_sentence import PascalSentenceSource
from huse_tf.data.readers.prepared_files import check_whole, whole_folder
from huse_tf.data.table.cells import MAX_CHARACTERS
from huse_tf.data.table.records import Record, Source
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tfrecord": "shards",
    ".tfrecords": "shards",
}
# Layouts of public data sets, of which --catalogue is the folder.
_DATA_SETS: dict[str, Callable[[AbstractFileSystem, str], Source]] = {
    "fashion_gen": FashionGenSource,
    "food101": Food101Source,
    "imagenet": ImageNetSource,
    "pascal_sentence": PascalSentenceSource,
}
_FOLDERS = ("images", *_DATA_SETS)
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


@dataclasses.dataclass(frozen=True)
class Location:
    """Where the files of a catalogue lie.

    Attributes:
        file_system: local or remote.
        folder: folder that `Record.file` and, by default, the paths of images are relative to.
        files: sorted paths in the file system; () for a folder of images or a public data set.
        format: one of the formats of --catalogue_format, except "auto".
    """

    file_system: AbstractFileSystem
    folder: str
    files: tuple[str, ...]
    format: str


def open_source(place: Location, config: DataConfig) -> Source:
    """All records of a catalogue, file by file.

    Raises:
        UserError: its files differ in their columns, or one of them cannot be read.
    """
    if place.format == "images":
        return ImageFolderSource(place.file_system, place.folder, config.class_separator)
    if place.format in _DATA_SETS:
        return _DATA_SETS[place.format](place.file_system, place.folder)
    sources = []
    for path in place.files:
        file = CatalogueFile(posixpath.relpath(path, place.folder), place.file_system, path)
        sources.append((file.location, _open(file, place.format, config)))
    return _Chain(sources)


def _open(file: CatalogueFile, format: str, config: DataConfig) -> Source:
    # Parquet brings pyarrow and shards bring TensorFlow, so their readers are imported when needed.
    if format in ("csv", "tsv"):
        max_cell = MAX_CHARACTERS
        if config.image_cells == "base64":
            max_cell = max(max_cell, 2 * config.max_image_bytes)
        return DelimitedSource(file, "\t" if format == "tsv" else config.delimiter, max_cell)
    if format == "jsonl":
        return JsonLinesSource(file)
    if format == "parquet":
        try:
            from huse_tf.data.readers.parquet import ParquetSource
        except ImportError as error:
            raise UserError(
                "Parquet files need the package pyarrow. Run: pip install 'huse_tf[parquet]'."
            ) from error
        return ParquetSource(file)
    from huse_tf.data.readers.shards import ShardSource

    return ShardSource(file)


class _Chain:
    """Several files of one format as one source."""

    optional = False

    def __init__(self, sources: Sequence[tuple[str, Source]]) -> None:
        """Takes pairs (location of a file, its source).

        Raises:
            UserError: the files have different columns.
        """
        self._sources = sources
        first_file, first = sources[0]
        self.columns = first.columns
        for file, source in sources[1:]:
            odd = sorted(set(first.columns) ^ set(source.columns))
            if odd and not source.optional:
                raise UserError(
                    f"The files {first_file!r} and {file!r} of the catalogue have different columns. "
                    f"Expected the same ones in all. In one of them only: {', '.join(odd)}."
                )
            self.columns = tuple(dict.fromkeys([*self.columns, *source.columns]))

    def __iter__(self) -> Iterator[Record]:
        for _, source in self._sources:
            yield from source


def locate(config: DataConfig) -> Location:
    """Finds the catalogue's files and their format.

    Raises:
        UserError: no catalogue is given, no file is found, or the files' extensions do not show one
            format.
    """
    if not config.catalogue:
        raise UserError("No catalogue is given. Expected --catalogue=FILE, a folder or a URL.")
    file_system, path = _file_system(config.catalogue)
    try:
        if file_system.isdir(path):
            return _folder(file_system, path.rstrip("/"), config)
        if glob.has_magic(path) and not file_system.exists(path):
            folder = path
            while glob.has_magic(folder):
                folder = posixpath.dirname(folder)
            files = sorted(file for file in file_system.glob(path) if not file_system.isdir(file))
        else:
            folder, files = posixpath.dirname(path), [path]
    except OSError as error:
        raise UserError(f"The catalogue {config.catalogue!r} cannot be read: {error}.") from error
    if not files:
        raise UserError(f"No file fits --catalogue={config.catalogue!r}.")
    format: str = config.catalogue_format
    if format == "auto":
        formats = {_format(file) for file in files}
        _refuse_mixture(config, formats, files)
        format = formats.pop()
    if format in _FOLDERS:
        held = "of images by class" if format == "images" else "in the layout of its data set"
        raise UserError(
            f"--catalogue_format={format} takes a folder {held}. Received: {config.catalogue!r}."
        )
    if format == "shards":
        check_whole(file_system, files)
    return Location(file_system, folder, tuple(files), format)


def _file_system(catalogue: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a path or URL, and the path in it."""
    if "://" not in catalogue:
        catalogue = str(pathlib.Path(catalogue).expanduser())
    try:
        return fsspec.core.url_to_fs(catalogue)
    except (ImportError, ValueError, OSError) as error:
        raise UserError(
            f"The catalogue {catalogue!r} cannot be reached: {error}. Install what fsspec needs for "
            "this kind of URL, e.g. s3fs for s3://."
        ) from error


def _format(path: str) -> str:
    """The format by the file's extension; "" for an unknown extension."""
    stem, ending = posixpath.splitext(path.lower())
    if ending in COMPRESSIONS:
        ending = posixpath.splitext(stem)[1]
    return _FORMATS.get(ending, "")


def _folder(file_system: AbstractFileSystem, folder: str, config: DataConfig) -> Location:
    """The catalogue in a folder: its tables, or without tables its images."""
    if config.catalogue_format in _FOLDERS:
        return Location(file_system, folder, (), config.catalogue_format)
    if config.catalogue_format == "shards" and (shards := whole_folder(file_system, folder)):
        return Location(file_system, folder, shards, "shards")
    files, images = [], False
    for path in sorted(file_system.find(folder)):
        hidden = any(part[:1] in "._" for part in posixpath.relpath(path, folder).split("/"))
        images = images or path.lower().endswith(_IMAGE_ENDINGS)
        if not hidden and _format(path):
            files.append(path)
    formats = {_format(file) for file in files}
    if config.catalogue_format != "auto":
        formats &= {config.catalogue_format}
        files = [file for file in files if _format(file) in formats]
    elif images and not files:
        return Location(file_system, folder, (), "images")
    if not files:
        raise UserError(
            f"The folder {folder!r} holds no catalogue. Expected files that end in "
            f"{', '.join(_FORMATS)} (or these with {', '.join(COMPRESSIONS)}), or folders of "
            "images by class."
        )
    _refuse_mixture(config, formats, files)
    return Location(file_system, folder, tuple(files), formats.pop())


def _refuse_mixture(config: DataConfig, formats: set[str], files: Sequence[str]) -> None:
    if "" in formats:
        odd = next(file for file in files if not _format(file))
        raise UserError(
            f"The format of the catalogue {odd!r} is unknown. Expected a file that ends in one of "
            f"{', '.join(_FORMATS)}, or --catalogue_format."
        )
    if len(formats) > 1:
        raise UserError(
            f"The catalogue {config.catalogue!r} holds files of several formats: "
            f"{', '.join(sorted(formats))}. Name one with --catalogue_format, or give a glob."
        )
