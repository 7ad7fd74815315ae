"""Reader of Pascal Sentence (Rashtchian et al. 2010): 1,000 images in 20 classes, five sentences each."""

from __future__ import annotations

import collections
import posixpath
from collections.abc import Iterator

from fsspec import AbstractFileSystem

from huse_tf.data.readers.image_folder import files_under
from huse_tf.data.readers.layouts import TEST, TRAIN, VALIDATION, missing_part, read_text
from huse_tf.data.table.records import BadCellError, Record

# The first images of each class are for training and the next for validation: 800 and 100 of the 1,000,
# the sizes in Zhen et al. 2019.
_TRAIN, _VALIDATION = 40, 5


class PascalSentenceSource:
    """Images are `dataset/CLASS/NAME.jpg`; the sentences of an image are lines of `sentence/CLASS/NAME.txt`.

    This is the layout that the common download scripts make from the official page. One of them leaves out
    the dot of ".txt"; these files are found too. Each image is a row. The splits go by the order of the names
    within a class: 40 for training, 5 for validation, the others (5) for testing.
    """

    columns: tuple[str, ...] = ("product_id", "image", "name", "classes", "split")
    optional = False

    def __init__(self, file_system: AbstractFileSystem, folder: str) -> None:
        """Looks for both folders.

        Raises:
            UserError: one is missing. During iteration: a folder cannot be read.
        """
        self._file_system, self._folder = file_system, folder
        for part in ("dataset", "sentence"):
            if not file_system.isdir(posixpath.join(folder, part)):
                raise missing_part("Pascal Sentence", folder, f"{part}/CLASS/")

    def __iter__(self) -> Iterator[Record]:
        start = posixpath.join(self._folder, "dataset")
        seen: collections.Counter[str] = collections.Counter()  # images of each class so far
        for row, path in enumerate(files_under(self._file_system, start), start=1):
            label, _, name = posixpath.relpath(path, start).rpartition("/")
            yield self._record(row, label, name, seen[label])
            seen[label] += 1

    def _record(self, row: int, label: str, name: str, place: int) -> Record:
        image, stem = f"dataset/{label}/{name}", f"{label}/{posixpath.splitext(name)[0]}"
        if not label or "/" in label:
            return Record(image, row, {}, "image is not in the folder of a class")
        text = posixpath.join(self._folder, "sentence", stem)
        try:
            sentences = self._text(f"{text}.txt") or self._text(f"{text}txt")
        except BadCellError as fault:
            return Record(image, row, {}, str(fault))
        cells = {
            "product_id": stem,
            "image": image,
            "name": " ".join(sentences.split()),
            "classes": label,
            "split": _split(place),
        }
        return Record.of(image, row, cells)

    def _text(self, path: str) -> str:
        return read_text(self._file_system, self._folder, path)


def _split(place: int) -> str:
    if place < _TRAIN:
        return TRAIN
    return VALIDATION if place < _TRAIN + _VALIDATION else TEST
