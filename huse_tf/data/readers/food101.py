"""Reader of UPMC Food-101 (Wang et al. 2015): recipes with an image each, in 101 classes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from fsspec import AbstractFileSystem

from huse_tf.data.readers.delimited import DelimitedSource
from huse_tf.data.readers.image_folder import files_under
from huse_tf.data.readers.layouts import TEST, TRAIN, hold_out, missing_part, read_text
from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.cells import MAX_CHARACTERS
from huse_tf.data.table.records import BadCellError, Record

_VALIDATION = 14  # one in so many; about the 5,000 that Kiela et al. 2019 hold out


class Food101Source:
    """The folder in one of two layouts, both with images in `images/{train,test}/CLASS/CLASS_N.jpg`.

    * The original one has the text of each image in `texts_txt/CLASS/CLASS_N.txt`. Each image is a row.
    * The copy on Kaggle has `texts/{train,test}_titles.csv`, whose rows are image, text and class without
      a header line. Each of its lines is a row.

    One in 14 training items is for validation. "_" in a class is a space.
    """

    columns: tuple[str, ...] = ("product_id", "image", "name", "classes", "split")
    optional = False

    def __init__(self, file_system: AbstractFileSystem, folder: str) -> None:
        """Looks for the texts.

        Raises:
            UserError: the folder has neither layout. Here or during iteration: a table of texts is
                missing or cannot be parsed, or a folder cannot be read.
        """
        self._file_system, self._folder = file_system, folder
        self._in_files = file_system.isdir(posixpath.join(folder, "texts_txt"))
        if not self._in_files and not file_system.isdir(posixpath.join(folder, "texts")):
            raise missing_part("UPMC Food-101", folder, "images/, and texts_txt/ or texts/")

    def __iter__(self) -> Iterator[Record]:
        for split in (TRAIN, TEST):
            yield from self._from_files(split) if self._in_files else self._from_table(split)

    def _from_files(self, split: str) -> Iterator[Record]:
        start = posixpath.join(self._folder, "images", split)
        for row, path in enumerate(files_under(self._file_system, start), start=1):
            image = posixpath.relpath(path, self._folder)
            parts = posixpath.relpath(path, start).split("/")
            if len(parts) != 2:
                yield Record(image, row, {}, "image is not in the folder of a class")
                continue
            label, name = parts
            text = posixpath.join(
                self._folder, "texts_txt", label, posixpath.splitext(name)[0] + ".txt"
            )
            try:
                title = read_text(self._file_system, self._folder, text)
            except BadCellError as fault:
                yield Record(image, row, {}, str(fault))
            else:
                yield _record(image, row, split, label, name, title)

    def _from_table(self, split: str) -> Iterator[Record]:
        name = f"texts/{split}_titles.csv"
        file = CatalogueFile(name, self._file_system, posixpath.join(self._folder, name))
        for record in DelimitedSource(file, ",", MAX_CHARACTERS, ("image", "text", "class")):
            if record.fault:
                yield record
            else:
                image, title, label = (str(cell) for cell in record.cells.values())
                yield _record(name, record.row, split, label.strip(), image.strip(), title)


def _record(file: str, row: int, split: str, label: str, name: str, title: str) -> Record:
    image = f"images/{split}/{label}/{name}"
    cells = {
        "product_id": posixpath.splitext(image)[0],
        "image": image,
        "name": title,
        "classes": label.replace("_", " "),
        "split": hold_out(image, _VALIDATION) if split == TRAIN else split,
    }
    return Record.of(file, row, cells)
