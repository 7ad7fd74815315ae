"""A `tf.data.Dataset` of dicts as a catalogue, for Python users."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import tensorflow as tf

from huse_tf.data.table.records import BadCellError, Record, Source
from huse_tf.errors import UserError


def from_dataset(dataset: tf.data.Dataset) -> Source:
    """A source of the dataset's elements, numbered from 1.

    Args:
        dataset: a finite dataset of dicts, not batched. A value is a scalar, a vector (a cell with
            several values), or a decoded image [height, width, 1, 3 or 4] uint8. Strings in image
            columns are encoded images, not paths.

    Raises:
        UserError: the elements are not dicts with text keys, or the dataset is infinite.
    """
    spec = dataset.element_spec
    if not isinstance(spec, dict) or not all(isinstance(key, str) for key in spec):
        raise UserError(
            f"Expected a tf.data.Dataset of dicts, column -> value. Received elements: {spec}."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise UserError("The dataset is infinite. Expected a dataset without repeat().")
    return _DatasetSource(dataset)


class _DatasetSource:
    optional = False

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self._dataset = dataset
        self.columns = tuple(dataset.element_spec)

    def __iter__(self) -> Iterator[Record]:
        for row, values in enumerate(self._dataset.as_numpy_iterator(), start=1):
            try:
                plain = {column: _plain(value) for column, value in values.items()}
            except BadCellError as fault:
                yield Record("", row, {}, str(fault))
            else:
                yield Record.of("", row, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    array = np.asarray(value)
    if array.ndim < 2:
        return array.tolist()
    if array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] in (1, 3, 4) and array.size:
        image = io.BytesIO()
        PIL.Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(image, "PNG")
        return image.getvalue()
    raise BadCellError(f"array is not an image: {array.dtype} of shape {array.shape}")
