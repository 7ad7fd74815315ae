"""A pandas table as a catalogue, for Python users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from huse_tf.data.table.records import Record, Source
from huse_tf.errors import UserError


def from_dataframe(frame: pd.DataFrame) -> Source:
    """A source of the table's rows, numbered from 1. The index of the table is ignored.

    Args:
        frame: a table. NaN, NaT, None and pd.NA are empty cells. A bytes cell is an encoded image.

    Raises:
        UserError: two columns have the same name, or a column's name is not text.

    Examples:
        >>> source = from_dataframe(pd.DataFrame({"name": ["Oak chair", None], "price": [49, 19]}))
        >>> source.columns
        ('name', 'price')
        >>> [dict(record.cells) for record in source]
        [{'name': 'Oak chair', 'price': '49'}, {'name': None, 'price': '19'}]
    """
    names = list(frame.columns)
    odd = [name for name in names if not isinstance(name, str) or names.count(name) > 1]
    if odd:
        raise UserError(
            "The columns of a DataFrame must have distinct names that are text. "
            f"Received: {odd[0]!r} among {names}."
        )
    return _DataFrameSource(frame)


class _DataFrameSource:
    optional = False

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.columns = tuple(frame.columns)

    def __iter__(self) -> Iterator[Record]:
        for row, values in enumerate(self._frame.itertuples(index=False, name=None), start=1):
            cells = dict(zip(self.columns, map(_plain, values), strict=True))
            yield Record.of("", row, cells)


def _plain(value: Any) -> Any:
    """The value as a Python object; None for a missing value of pandas."""
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value.tolist()]
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
