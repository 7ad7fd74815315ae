"""Reader of ILSVRC 2012 (Russakovsky et al. 2015): images of 1,000 synsets of WordNet, without texts."""

from __future__ import annotations

import io
import itertools
import posixpath
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from fsspec import AbstractFileSystem

from huse_tf.data.readers.image_folder import files_under
from huse_tf.data.readers.layouts import TEST, hold_out, missing_part
from huse_tf.data.table.records import Record
from huse_tf.errors import UserError

_DEVKIT = "ILSVRC2012_devkit_t12/data"
_TRUTH = f"{_DEVKIT}/ILSVRC2012_validation_ground_truth.txt"
_SYNSETS = f"{_DEVKIT}/meta.mat"
_MAX_BYTES = 64_000_000  # of a file of the development kit
_NUMBER = re.compile(r"_(\d{8})\.jpe?g", re.IGNORECASE)
_VALIDATION = 100  # one in so many training images


class ImageNetSource:
    """Images are `train/WNID/NAME.JPEG` and `val/ILSVRC2012_val_NNNNNNNN.JPEG`; each is a row.

    The class is the WordNet id (`n02084071`); `--taxonomy` names the folder of WordNet 3.0, which gives it a
    place in the tree. The classes of `val` are in the development kit, `ILSVRC2012_devkit_t12/data`. They are
    not needed where `val` is sorted by class too: `val/WNID/NAME.JPEG`. The test split is `val`, as in Frome
    et al. 2013. One in 100 training images is for validation.
    """

    columns: tuple[str, ...] = ("image", "classes", "split")
    optional = False

    def __init__(self, file_system: AbstractFileSystem, folder: str) -> None:
        """Looks for both folders.

        Raises:
            UserError: one is missing. During iteration: a folder cannot be read, or the development
                kit is needed and is missing, too large or in another format.
        """
        self._file_system, self._folder = file_system, folder
        for part in ("train", "val"):
            if not file_system.isdir(posixpath.join(folder, part)):
                raise missing_part("ILSVRC 2012", folder, f"{part}/")

    def __iter__(self) -> Iterator[Record]:
        rows = itertools.count(1)
        labels: list[str] | None = None  # of `val`, by the number of the image
        for part in ("train", "val"):
            start = posixpath.join(self._folder, part)
            for path in files_under(self._file_system, start):
                row = next(rows)
                image = posixpath.relpath(path, self._folder)
                label = posixpath.relpath(posixpath.dirname(path), start)
                if label == "." and part == "val":
                    labels = self._labels() if labels is None else labels
                    number = _NUMBER.search(path)
                    place = int(number[1]) - 1 if number else -1
                    label = labels[place] if 0 <= place < len(labels) else "."
                if label == ".":
                    yield Record(image, row, {}, "image has no class in the layout of ILSVRC 2012")
                    continue
                split = TEST if part == "val" else hold_out(image, _VALIDATION)
                yield Record.of(image, row, {"image": image, "classes": label, "split": split})

    def _labels(self) -> list[str]:
        """The WordNet id of each image of `val`, by its number."""
        import scipy.io  # slow to import, and only needed here

        truth, synsets = self._read(_TRUTH), self._read(_SYNSETS)
        try:
            table: Any = scipy.io.loadmat(
                io.BytesIO(synsets), squeeze_me=True, variable_names=["synsets"]
            )["synsets"]
            ids = {
                int(number): str(wnid)
                for number, wnid in zip(
                    np.atleast_1d(table["ILSVRC2012_ID"]), np.atleast_1d(table["WNID"]), strict=True
                )
            }
            return [ids[int(line)] for line in truth.split()]
        # A damaged file raises errors of many types.
        except Exception as error:
            raise UserError(
                f"The development kit in {posixpath.join(self._folder, _DEVKIT)!r} cannot be read: "
                f"{type(error).__name__}: {error}. Expected {posixpath.basename(_SYNSETS)} with the struct "
                f"'synsets', and in {posixpath.basename(_TRUTH)} an id of it a line. Unpack it again."
            ) from error

    def _read(self, name: str) -> bytes:
        path = posixpath.join(self._folder, name)
        if not self._file_system.isfile(path):
            raise missing_part("ILSVRC 2012", self._folder, f"{name} or val/WNID/")
        with self._file_system.open(path, "rb") as stream:
            data: bytes = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UserError(
                f"{path!r} is too large. Expected at most {_MAX_BYTES} bytes, as in the development kit of "
                "ILSVRC 2012. Unpack it again."
            )
        return data
