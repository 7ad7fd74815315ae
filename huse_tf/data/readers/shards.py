"""Reader of TFRecord files of `tf.train.Example`: shards of a prepared folder, and any other."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.readers.prepared_files import check_content
from huse_tf.data.table.records import BadCellError, Record

if TYPE_CHECKING:
    import tensorflow as tf


class ShardSource:
    """One file. Each feature is a column; a feature with several values is a cell with several values.

    In a prepared shard the columns are `image` and the keys of its JSON. A missing feature is an empty
    cell.
    """

    optional = True

    def __init__(self, file: CatalogueFile) -> None:
        """Takes the file, which is read later.

        Raises, during iteration:
            UserError: the file is missing, a checksum is wrong, or the file belongs to a prepared
                folder that is unfinished or was changed.
        """
        self._file = file
        self._is_checked = False

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of all features, in alphabetical order.

        Reads the whole file, or one record of a prepared shard: its records all have the same columns.
        """
        found: set[str] = set()
        for record, is_prepared in self._rows():
            found.update(record.cells, record.faults)
            if is_prepared:
                break
        return tuple(sorted(found))

    def __iter__(self) -> Iterator[Record]:
        return (record for record, _ in self._rows())

    def _rows(self) -> Iterator[tuple[Record, bool]]:
        """(record, whether it comes from a prepared shard)."""
        # Late: TensorFlow takes seconds to import.
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        from huse_tf.data.shards.examples import IMAGE, ITEM_JSON
        from huse_tf.data.shards.shard_files import read_shard

        for row, data in enumerate(read_shard(self._file.local_path()), start=1):
            try:
                values = _features(tf.train.Example.FromString(data))
                is_prepared = ITEM_JSON in values
                if is_prepared and not self._is_checked:
                    check_content(self._file)
                    self._is_checked = True
                if is_prepared:
                    values = {**_cells(values[ITEM_JSON]), IMAGE: values.get(IMAGE) or None}
            except DecodeError:
                yield Record(self._file.name, row, {}, "record is not an example"), False
            except BadCellError as fault:
                yield Record(self._file.name, row, {}, str(fault)), False
            else:
                yield Record.of(self._file.name, row, values), is_prepared


def _features(example: tf.train.Example) -> dict[str, Any]:
    return {name: _value(feature) for name, feature in example.features.feature.items()}


def _cells(item_json: Any) -> dict[str, Any]:
    try:
        cells = json.loads(item_json)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCellError("item_json is not JSON") from error
    if not isinstance(cells, dict):
        raise BadCellError("item_json is not a JSON object")
    return cells


def _value(feature: tf.train.Feature) -> Any:
    """None, a value, or a list of several."""
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    return values if len(values) > 1 else next(iter(values), None)
