"""JSON Lines, Parquet, TFRecords, tables and datasets of Python: each as records."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
from fsspec.implementations.local import LocalFileSystem
from tiny_catalogues import image_bytes, read
from tiny_shards import tiny_folder

from huse_tf.data.readers.dataframe import from_dataframe
from huse_tf.data.readers.dataset import from_dataset
from huse_tf.data.readers.jsonl import JsonLinesSource
from huse_tf.data.readers.opening import CatalogueFile
from huse_tf.data.readers.parquet import ParquetSource
from huse_tf.data.readers.shards import ShardSource
from huse_tf.data.shards.examples import example
from huse_tf.data.table.records import BadCellError, Record, cell
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig


@pytest.fixture
def file(tmp_path):
    return CatalogueFile("f", LocalFileSystem(), str(tmp_path / "f"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), ("a", "a"), (b"a", b"a"), (True, "true"), (False, "false"), (7, "7"),
        (0.1, "0.1"), (float("nan"), None), (float("inf"), "inf"), ([1, None, "b"], ["1", "b"]),
        ((b"a",), [b"a"]), ([], []), (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3), "2026-01-02T03:00:00"),
    ],
)  # fmt: skip
def test_cell(value, expected):
    assert cell(value) == expected


@pytest.mark.parametrize("value", [{}, [["a"]], [{}], "\ud800", 10**400, object()])
def test_bad_cell(value):
    with pytest.raises(BadCellError):
        cell(value)


def jsonl(file, data):
    with open(file.path, "wb") as stream:
        stream.write(data)
    return JsonLinesSource(file)


def test_json_lines(file):
    source = jsonl(file, b'\xef\xbb\xbf{"a": 1, "b": [true, null]}\r\n\n{"c": {"d": 1}, "a": NaN}')
    assert source.columns == ("a", "b", "c")
    nested = {"c": "cell is neither text nor number: dict"}
    assert list(source) == [
        Record("f", 1, {"a": "1", "b": ["true"]}),
        Record("f", 3, {"a": None}, faults=nested),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "line is not JSON: Expecting property name enclosed in double quotes, character 2"),
        (b"[1]", "line is not a JSON object: list"),
        (b"\xff", "line is not UTF-8: from byte 0 on"),
        (b"[" * 100_000, "JSON is nested too deeply"),
        (b'{"a":' * 100_000, "JSON is nested too deeply"),
        (b'{"a": 1, "a": 2}', "JSON object has a key twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b'"' + b"x" * 1000 + b'"', "line has too many bytes: more than 900"),
    ],
)
def test_a_broken_line_is_a_row_with_a_fault(file, monkeypatch, line, fault):
    if "too many bytes" in fault:
        monkeypatch.setattr("huse_tf.data.readers.jsonl.MAX_LINE_BYTES", 900)
    first, second, third = jsonl(file, b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert (first.cells, third.cells, third.row) == ({"a": "1"}, {"a": "2"}, 3)
    assert second.fault.startswith(fault) and second.cells == {}


def parquet(file, table, **options):
    pyarrow.parquet.write_table(table, file.path, **options)
    return ParquetSource(file)


def test_parquet(file):
    """Structs are several columns, vectors none; a row group may be larger than a batch."""
    table = pa.table(
        {
            "id": pa.array(range(600)),
            "image": pa.array([{"bytes": b"x", "path": "p"}] * 600),
            "views": pa.array([[b"a", b"b"]] * 600),
            "vector": pa.array([[0.5, 1.0]] * 600),
            "kind": pa.array(["k"] * 600).dictionary_encode(),
            "day": pa.array([datetime.date(2026, 1, 2)] * 600),
            "gap": pa.array([None] * 600, pa.float32()),
        }
    )
    source = parquet(file, table)
    assert source.columns == ("id", "image.bytes", "image.path", "views", "kind", "day", "gap")
    rows = list(source)
    assert [row.row for row in rows] == list(range(1, 601))
    assert rows[599].cells == {
        "id": "599", "image.bytes": b"x", "image.path": "p", "views": [b"a", b"b"], "kind": "k",
        "day": "2026-01-02", "gap": None,
    }  # fmt: skip


def test_parquet_that_is_none_or_damaged(file):
    with pytest.raises(UserError, match="No catalogue lies at"):
        ParquetSource(file)
    table = pa.table({"a": [f"text {i}" for i in range(5000)]})
    parquet(file, table)
    with open(file.path, "rb") as stream:
        data = stream.read()
    for damaged in (b"", b"PAR1", data[:-10], data[:500] + bytes(600) + data[1100:]):
        with open(file.path, "wb") as stream:
            stream.write(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            list(ParquetSource(file))


def test_parquet_with_a_huge_row_group(file, monkeypatch):
    """A million equal texts are a few bytes in the file; it is what they claim that counts."""
    monkeypatch.setattr("huse_tf.data.readers.parquet._MAX_ROW_GROUP_BYTES", 1000)
    parquet(file, pa.table({"a": ["x" * 100]}))
    table = pa.table({"a": [f"{i:0100}" for i in range(1000)]})
    with pytest.raises(UserError, match=r"row group of .* smaller row groups"):
        parquet(file, table, compression="gzip")


def shards(file, *records):
    with tf.io.TFRecordWriter(file.path) as writer:
        for record in records:
            writer.write(record)
    return ShardSource(file)


def features(**values):
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    feature = {}
    for name, value in values.items():
        kind = kinds[type(value[0])] if value else "bytes_list"
        feature[name] = tf.train.Feature(**{kind: {"value": value}})
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def test_examples_of_others(file):
    source = shards(
        file, features(a=[b"x"], b=[1, 2]), features(c=[0.5], a=[]), b"\xff\xff no message"
    )
    assert source.columns == ("a", "b", "c")
    assert [(r.row, dict(r.cells)) for r in source] == [
        (1, {"a": b"x", "b": ["1", "2"]}),
        (2, {"a": None, "c": "0.5"}),
        (3, {}),
    ]
    assert list(source)[2].fault == "record is not an example"


def test_prepared_shards(tmp_path):
    """The JSON has the cells; the image's bytes take the place of its path."""
    cells = {"product_id": "p", "image": "a.png", "name": "Chair", "classes": "x<y"}
    image = image_bytes("PNG")
    records = [
        example(json.dumps(cells), image, text="Chair", labels=[1]),
        example(json.dumps({**cells, "product_id": "q"}), b""),
        example("[]", b""),
        example("{", b""),
    ]
    tiny_folder(tmp_path / "one", [(str(key), each) for key, each in enumerate(records)], 1)
    (path,) = (tmp_path / "one").glob("*.tfrecord")
    source = ShardSource(CatalogueFile(path.name, LocalFileSystem(), str(path)))
    assert source.columns == ("classes", "image", "name", "product_id")
    config = DataConfig(catalogue=str(tmp_path / "one"), catalogue_format="shards")
    catalogue = read(config, spool=tmp_path / "spool")
    assert catalogue.items["image_path"].map(bool).tolist() == [True, False]
    assert catalogue.items["class_paths"].tolist() == [(("x", "y"),)] * 2
    assert catalogue.rejected["reason"].tolist() == [
        "item_json is not a JSON object",
        "item_json is not JSON",
    ]


def test_hostile_records(file):
    source = shards(file, features(a=[b"x"]), features(a=[b"y"]))
    with open(file.path, "rb") as stream:
        data = stream.read()
    for damaged in (
        data[:-3],
        data[:20] + b"z" + data[21:],
        b"\xff" * 8 + data[8:],
        b"no records",
    ):
        with open(file.path, "wb") as stream:
            stream.write(damaged)
        with pytest.raises(UserError, match="damaged"):
            list(source)


def test_dataframe(tmp_path):
    frame = pd.DataFrame(
        {
            "image": [image_bytes("PNG"), None, b"no image"],
            "name": ["Chair", pd.NA, "Sofa"],
            "classes": pd.Categorical(["x", "x", "y"]),
            "size": np.array([1, 2, 3], np.int32),
            "when": [pd.Timestamp("2026-01-02"), pd.NaT, pd.NaT],
            "many": [["a"], np.array(["b", "c"]), np.nan],
        },
        index=[7, 7, 7],
    )
    source = from_dataframe(frame)
    rows = list(source)
    assert rows == list(source)
    assert dict(rows[1].cells) == {
        "image": None, "name": None, "classes": "x", "size": "2", "when": None, "many": ["b", "c"]
    }  # fmt: skip
    assert rows[0].cells["when"] == "2026-01-02T00:00:00" and rows[2].cells["many"] is None
    catalogue = read(DataConfig(), source, tmp_path)
    assert (catalogue.rows, len(catalogue.items)) == (3, 1)
    assert catalogue.rejected["reason"].tolist() == [
        "neither image nor text",
        "file is not an image",
    ]


def test_dataframe_whose_columns_have_no_names():
    for columns in (["a", "a"], [0, 1]):
        with pytest.raises(UserError, match="distinct names"):
            from_dataframe(pd.DataFrame([[1, 2]], columns=columns))


def test_dataset(tmp_path):
    """An encoded and a decoded image, tags, and a number."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    encoded = tf.data.Dataset.from_tensors(
        {"image": image_bytes("PNG"), "name": ["red", "chair"], "classes": "x", "size": 3}
    )
    assert [dict(record.cells) for record in from_dataset(encoded)] == [
        {"image": image_bytes("PNG"), "name": [b"red", b"chair"], "classes": b"x", "size": "3"}
    ]
    decoded = tf.data.Dataset.from_tensors({"image": pixels, "name": "Chair", "classes": "x"})
    (item,) = read(DataConfig(), from_dataset(decoded), tmp_path).items.to_dict("records")
    kept = tf.io.decode_image(tf.io.read_file(item["image_path"])).numpy()
    assert np.array_equal(kept, pixels)


def test_datasets_that_are_no_catalogue():
    with pytest.raises(UserError, match="dicts"):
        from_dataset(tf.data.Dataset.range(3))
    with pytest.raises(UserError, match="is infinite"):
        from_dataset(tf.data.Dataset.from_tensors({"a": 1}).repeat())
    (record,) = from_dataset(tf.data.Dataset.from_tensors({"a": tf.zeros((2, 2))}))
    assert record.fault == "array is not an image: float32 of shape (2, 2)"
