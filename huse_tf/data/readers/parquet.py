"""Reader of Parquet files, batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet

from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.table.records import Record
from huse_tf.errors import UserError

_BATCH_ROWS = 256  # a few megabytes if rows hold images
_MAX_ROW_GROUP_BYTES = 4 << 30  # decompressed size, from the file's metadata
_MAX_METADATA_BYTES = 100_000_000


class ParquetSource:
    """A file whose rows are records.

    Each field of a struct is a column, named like `image.bytes`. Columns with lists of numbers (vectors)
    or deeper nesting are left out.
    """

    optional = False

    def __init__(self, file: CatalogueFile) -> None:
        """Reads the schema.

        Raises:
            UserError: the file is missing or not a Parquet file, or its row groups are too large. Here
                or during iteration: the file is damaged.
        """
        self._file = file
        with self._open() as parquet:
            schema = _flat(parquet.schema_arrow.empty_table()).schema
            metadata = parquet.metadata
            sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        if max(sizes, default=0) > _MAX_ROW_GROUP_BYTES:
            raise UserError(
                f"The catalogue {file.location!r} has a row group of {max(sizes)} bytes; at most "
                f"{_MAX_ROW_GROUP_BYTES} are read. Write it again with smaller row groups."
            )
        doubled = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if doubled:
            raise UserError(
                f"The catalogue {file.location!r} has several columns named {doubled[0]!r}. "
                "Expected each column name once."
            )
        self.columns = tuple(field.name for field in schema if _is_cell(field.type))

    def __iter__(self) -> Iterator[Record]:
        row = 0
        with self._open() as parquet:
            roots = list(dict.fromkeys(name.partition(".")[0] for name in self.columns))
            names = [name for name in parquet.schema_arrow.names if name in (*self.columns, *roots)]
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=names):
                table = _flat(pa.Table.from_batches([batch])).select(list(self.columns))
                for values in table.to_pylist():
                    row += 1
                    yield Record.of(self._file.name, row, values)

    @contextlib.contextmanager
    def _open(self) -> Iterator[pyarrow.parquet.ParquetFile]:
        try:
            with self._file.open() as stream:
                yield pyarrow.parquet.ParquetFile(
                    stream,
                    thrift_string_size_limit=_MAX_METADATA_BYTES,
                    thrift_container_size_limit=_MAX_METADATA_BYTES,
                )
        except UserError:
            raise
        # Some errors of Arrow are ValueErrors. Damaged texts and dates raise the others.
        except (pa.ArrowException, ValueError, OverflowError, KeyError) as error:
            raise self._file.unreadable(error) from error


def _flat(table: pa.Table) -> pa.Table:
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return table


def _is_cell(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_cell(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_text(kind.value_type)
    return _is_text(kind) or not pa.types.is_nested(kind)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return (
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
    )
