"""Reader of Fashion-Gen (Rostamzadeh et al. 2018): two HDF5 files with images and texts of products."""

from __future__ import annotations

import contextlib
import io
import math
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import PIL.Image
from fsspec import AbstractFileSystem

from huse_tf.data.readers.layouts import TEST, TRAIN, decode, hold_out
from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.records import Record
from huse_tf.errors import UserError

_FILES = {TRAIN: "fashiongen_256_256_train.h5", TEST: "fashiongen_256_256_validation.h5"}
_PRODUCT = "input_productID"
_BLOCK = 64  # rows in memory at once; 13 MB of images
_MAX_ROW_BYTES = 4_000_000  # of a cell; an image of the data set has 196,608
_MAX_CHUNK_BYTES = 256_000_000  # what the library decompresses at once
_VALIDATION = 20  # one in so many training products


class FashionGenSource:
    """The files `fashiongen_256_256_train.h5` and `fashiongen_256_256_validation.h5` in a folder.

    Each dataset of a file with one value a row is a column of its name, such as `input_description` and
    `input_productID`; `input_image` [rows, 256, 256, 3] uint8 becomes PNG images. Other datasets are left
    out. The column `split` is test for the second file, as in Gao et al. 2020; one in 20 products of the first
    is for validation.
    """

    optional = False

    def __init__(self, file_system: AbstractFileSystem, folder: str) -> None:
        """Reads the names of the columns.

        Raises:
            UserError: a file is missing or not HDF5, its columns have different lengths, a row is too
                large, or it refers to other files. Here or during iteration: a file is damaged.
        """
        self._files = {
            split: CatalogueFile(name, file_system, posixpath.join(folder, name))
            for split, name in _FILES.items()
        }
        names: dict[str, None] = {}
        for file in self._files.values():
            with _open(file) as datasets:
                names.update(dict.fromkeys(datasets))
        self.columns = (*names, "split")

    def __iter__(self) -> Iterator[Record]:
        for split, file in self._files.items():
            with _open(file) as datasets:
                rows = len(next(iter(datasets.values())))
                for start in range(0, rows, _BLOCK):
                    block = {name: data[start : start + _BLOCK] for name, data in datasets.items()}
                    for place in range(min(_BLOCK, rows - start)):
                        cells = {name: _cell(values[place]) for name, values in block.items()}
                        product = str(cells.get(_PRODUCT, start + place))
                        cells["split"] = hold_out(product, _VALIDATION) if split == TRAIN else split
                        yield Record.of(file.name, start + place + 1, cells)


def _cell(value: Any) -> Any:
    array = np.asarray(value)
    if array.ndim == 3:
        image = io.BytesIO()
        PIL.Image.fromarray(array).save(image, "PNG", compress_level=1)
        return image.getvalue()
    scalar = array.reshape(-1)[0]
    return decode(scalar) if isinstance(scalar, bytes) else np.asarray(scalar).item()


@contextlib.contextmanager
def _open(file: CatalogueFile) -> Iterator[Mapping[str, Any]]:
    """The datasets of a file that are columns, by name."""
    import h5py  # slow to import, and only needed here

    path = file.local_path()
    try:
        with h5py.File(path, "r") as content:
            columns = {name: _checked(content, name, file) for name in content}
            columns = {name: data for name, data in columns.items() if _is_column(data)}
            lengths = {len(data) for data in columns.values()}
            if len(lengths) != 1:
                raise UserError(
                    f"The catalogue {file.location!r} has {len(columns)} columns of {len(lengths)} different "
                    "lengths. Expected columns of one length, as in Fashion-Gen. Download it again."
                )
            yield columns
    except UserError:
        raise
    # h5py raises errors of many types for a damaged file.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise file.unreadable(error) from error


def _checked(content: Any, name: str, file: CatalogueFile) -> Any:
    """A member of the file. Refuses one that lies in another file, or is too large to be read."""
    import h5py

    link = content.get(name, getlink=True)
    data = content[name] if isinstance(link, h5py.HardLink) else None
    if data is None or (isinstance(data, h5py.Dataset) and (data.external or data.is_virtual)):
        raise UserError(
            f"The catalogue {file.location!r} refers to other data by {name!r}. Expected a file that holds "
            "all its data itself. Download it again."
        )
    if isinstance(data, h5py.Dataset):
        size = data.dtype.itemsize
        if (
            size * math.prod(data.shape[1:]) > _MAX_ROW_BYTES
            or size * math.prod(data.chunks or (0,)) > _MAX_CHUNK_BYTES
        ):
            raise UserError(
                f"The catalogue {file.location!r} has too large rows in {name!r}. Expected at most "
                f"{_MAX_ROW_BYTES} bytes a row and {_MAX_CHUNK_BYTES} a chunk. Received: "
                f"{data.dtype} of shape {data.shape}, in chunks of {data.chunks}."
            )
    return data


def _is_column(data: Any) -> bool:
    import h5py

    if not isinstance(data, h5py.Dataset):
        return False
    if data.ndim == 4:
        return bool(data.dtype == np.uint8 and data.shape[3] == 3 and 0 not in data.shape[1:])
    one = data.ndim == 1 or (data.ndim == 2 and data.shape[1] == 1)
    return one and (data.dtype.kind in "Siuf" or h5py.check_string_dtype(data.dtype) is not None)
