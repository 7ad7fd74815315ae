"""Whatever a catalogue holds: it is refused in words, or every row of it is told."""

import base64
import csv
import io
import json

import hypothesis
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from tiny_catalogues import image_bytes, read, write_images

from huse_tf.data.readers.dataframe import from_dataframe
from huse_tf.data.shards.examples import example
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

COLUMNS = ("product_id", "image", "name", "description", "classes", "weight")
ROWS = [
    ("p1", "a.png", 'Oak, "Chair"', "Four legs.\nÉ", "furniture<chairs", "1"),
    ("p2", "b.jpg", "Sofa", "", "furniture<sofas|home", "0.5"),
    ("p3", "", "Lamp", "Bright", "lighting", "2"),
]
FEW = hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)
MANY = hypothesis.settings(FEW, max_examples=1000)

settings = st.fixed_dictionaries(
    {
        "image_cells": st.sampled_from(["path", "base64"]),
        "image_separator": st.sampled_from(["", "|"]),
        "multi_label": st.booleans(),
        "missing": st.sampled_from(["keep", "reject"]),
        "weight_column": st.sampled_from(["", "weight"]),
    }
)
# Text of all of Unicode, but with much that means something to a reader.
texts = st.text(
    st.one_of(st.sampled_from('",;\t\r\n|<>{}[]\\/.=-\0 a1'), st.characters(codec="utf-8"))
)
known = st.sampled_from([cell for row in ROWS for cell in row])
paths = st.sampled_from(["a.png", "a.png|b.jpg", "../a.png", "/etc/passwd", "a.png\0", "a://b"])
images = st.sampled_from([image_bytes("PNG"), image_bytes("GIF"), b""])
encoded = images.map(lambda data: base64.b64encode(data).decode())
plain = st.one_of(known, texts, paths, encoded)
numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
# What JSON can hold; and what Python can.
nested = st.recursive(
    st.one_of(plain, numbers, st.text(st.characters(codec=None, categories=("Cs", "Lu")))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
objects = st.one_of(nested, images, st.lists(images, max_size=2), st.binary(max_size=20))


@st.composite
def tables(draw, cells):
    """Sound rows, of which some cells are anything."""
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        row = list(draw(st.sampled_from(ROWS)))
        for place in draw(st.sets(st.integers(0, len(row) - 1), max_size=3)):
            row[place] = draw(cells)
        rows.append(tuple(row))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    write_images(folder, ["a.png", "b.jpg"])
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    """A sound catalogue of each format: its ending -> its bytes."""
    cells = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    frame = pd.DataFrame(cells)
    frame["image"] = image_bytes("PNG")
    frame.to_parquet(folder / "whole")
    parquet = (folder / "whole").read_bytes()
    with tf.io.TFRecordWriter(str(folder / "whole")) as writer:
        for row in cells:
            writer.write(example(json.dumps(row), image_bytes("PNG")))
    return {
        "csv": csv_bytes(ROWS, ","),
        "tsv": csv_bytes(ROWS, "\t"),
        "jsonl": json_lines(ROWS),
        "parquet": parquet,
        "tfrecord": (folder / "whole").read_bytes(),
    }


def csv_bytes(rows, delimiter):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([COLUMNS, *rows])
    return file.getvalue().encode(errors="surrogatepass")


def json_lines(rows):
    lines = (json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)
    return "".join(lines).encode()


def rows_told(config, folder, source=None):
    """Number of rows of a catalogue of which all was told; None if it was refused."""
    try:
        catalogue = read(config, source, folder / "spool")
    except UserError:
        return None
    places = {*zip(catalogue.items["file"], catalogue.items["row"], strict=True)}
    places |= {*zip(catalogue.rejected["file"], catalogue.rejected["row"], strict=True)}
    assert len(places) == catalogue.rows
    assert catalogue.items["item_id"].is_unique
    assert (catalogue.rejected["reason"] != "").all()
    return catalogue.rows


def rows_of_bytes(folder, ending, data, chosen):
    (folder / f"c.{ending}").write_bytes(data)
    config = DataConfig(catalogue=str(folder / f"c.{ending}"), image_root=str(folder), **chosen)
    return rows_told(config, folder)


def random_bytes(folder, ending, data, chosen):
    rows_of_bytes(folder, ending, data, chosen)


def damaged(folder, whole, ending, changes, kept, chosen):
    """A sound file with some bytes changed, and cut short."""
    data = bytearray(whole[ending])
    for place, byte in changes:
        data[int(place * len(data))] = byte
    rows = rows_of_bytes(folder, ending, bytes(data[: int(kept * len(data)) + 1]), chosen)
    assert rows is None or rows <= len(ROWS) + len(changes)  # a changed byte may be a line end


def random_cells(folder, rows, chosen):
    """A CSV may be refused: what looks like a swallowed row, half characters."""
    assert rows_of_bytes(folder, "tsv", csv_bytes(rows, "\t"), chosen) in (None, len(rows))
    assert rows_of_bytes(folder, "jsonl", json_lines(rows), chosen) == len(rows)


def random_objects(folder, rows, chosen):
    frame = pd.DataFrame(dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)), dtype=object)
    config = DataConfig(image_root=str(folder), **chosen)
    assert rows_told(config, folder, from_dataframe(frame)) == len(rows)


def damaged_image(folder, format, changes, kept):
    data = bytearray(image_bytes(format, size=(16, 16)))
    for place, byte in changes:
        data[int(place * len(data))] = byte
    row = {"image": bytes(data[: int(kept * len(data)) + 1]), "name": "Chair", "classes": "x"}
    assert rows_told(DataConfig(), folder, from_dataframe(pd.DataFrame([row]))) == 1


part = st.floats(0, 1, exclude_max=True)
changes = st.lists(st.tuples(part, st.integers(0, 255)), max_size=4)
kept = st.one_of(st.just(0.99999), part)
endings = st.sampled_from(["csv", "tsv", "jsonl", "parquet", "tfrecord"])
PROPERTIES = {
    random_bytes: {"ending": endings, "data": st.binary(), "chosen": settings},
    damaged: {"ending": endings, "changes": changes, "kept": kept, "chosen": settings},
    random_cells: {"rows": tables(nested), "chosen": settings},
    random_objects: {"rows": tables(objects), "chosen": settings},
    damaged_image: {
        "format": st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP"]),
        "changes": changes,
        "kept": kept,
    },
}


@pytest.mark.parametrize("how", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("property", PROPERTIES)
def test_nothing_breaks_and_no_row_is_lost(folder, whole, property, how):
    fixed = {"folder": folder} | ({"whole": whole} if property is damaged else {})

    @how
    @hypothesis.given(**PROPERTIES[property])
    def holds(**drawn):
        property(**fixed, **drawn)

    holds()
