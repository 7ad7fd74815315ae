"""From --catalogue to files, their format, and one stream of all."""

import bz2
import gzip
import json
import lzma
import os
import sys

import fsspec
import pandas as pd
import pytest
from tiny_catalogues import image_bytes, read, write_images

from huse_tf.data.readers.sources import locate, open_source
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

CSV = "image,name,classes\na.png,Chair,x\n"


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path, ["a.png"])
    return tmp_path


def records(catalogue, **settings):
    """(file, row, title) of each record."""
    config = DataConfig(catalogue=str(catalogue), **settings)
    return [(r.file, r.row, r.cells.get("name")) for r in open_source(locate(config), config)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", CSV.encode()),
        ("c.TSV", CSV.replace(",", "\t").encode()),
        ("c.jsonl", b'{"image": "a.png", "name": "Chair", "classes": "x"}'),
        ("c.ndjson", b'{"image": "a.png", "name": "Chair", "classes": "x"}\n'),
        ("c.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("c.csv.bz2", bz2.compress(CSV.encode())),
        ("c.csv.xz", lzma.compress(CSV.encode())),
    ],
)
def test_each_format_by_its_ending(folder, name, content):
    """The same item from each; JSON Lines have no header, so there the first line is line 1."""
    (folder / name).write_bytes(content)
    items = read(DataConfig(catalogue=str(folder / name))).items
    assert items[["image", "title", "class_paths"]].to_numpy().tolist() == [
        ["a.png", "Chair", (("x",),)]
    ]
    assert items["file"].tolist() == [name]
    assert items["row"].tolist() == [1 if "j" in name else 2]


def test_parquet_by_its_ending(folder):
    frame = pd.DataFrame({"image": ["a.png"], "name": ["Chair"], "classes": ["x"]})
    frame.to_parquet(folder / "c.parquet")
    assert len(read(DataConfig(catalogue=str(folder / "c.parquet"))).items) == 1


def test_parquet_without_its_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "huse_tf.data.readers.parquet", None)
    (folder / "c.parquet").touch()
    with pytest.raises(UserError, match="pip install"):
        records(folder / "c.parquet")


def test_format_by_setting(folder):
    (folder / "c.txt").write_text(CSV)
    assert records(folder / "c.txt", catalogue_format="csv") == [("c.txt", 2, "Chair")]
    with pytest.raises(UserError, match=r"is unknown\. Expected a file that ends in"):
        records(folder / "c.txt")


def test_a_folder_and_a_glob_are_read_in_order(folder):
    """Hidden files, and those that other programs mark with "_", are none of the catalogue's."""
    (folder / "sub").mkdir()
    for name in ("b.csv", "a.csv", "sub/c.csv", ".d.csv", "_e.csv"):
        (folder / name).write_text(CSV.replace("Chair", name))
    found = [("a.csv", 2, "a.csv"), ("b.csv", 2, "b.csv"), ("sub/c.csv", 2, "sub/c.csv")]
    assert records(folder) == found
    assert records(folder / "?.csv") == found[:2]
    assert records(folder / "*" / "c.csv") == found[2:]
    assert records(f"{folder}/") == found


def test_a_file_may_have_a_name_like_a_glob(folder):
    (folder / "c[1].csv").write_text(CSV)
    assert records(folder / "c[1].csv") == [("c[1].csv", 2, "Chair")]


@pytest.mark.parametrize(
    ("files", "catalogue", "message"),
    [
        ([], "none.csv", "No catalogue lies at"),
        ([], "none.jsonl", "No catalogue lies at"),
        ([], "none.parquet", "No catalogue lies at"),
        ([], "*.csv", "No file fits"),
        (["x.txt"], "", "holds no catalogue"),
        (["x.csv", "y.jsonl"], "", "several formats: csv, jsonl"),
        (["x.csv", "y.jsonl"], "?.*", "several formats: csv, jsonl"),
        ([], "nothing://a/b.csv", "cannot be reached"),
    ],
)
def test_no_catalogue(tmp_path, files, catalogue, message):
    (tmp_path / "c").mkdir()
    for name in files:
        (tmp_path / "c" / name).write_text("")
    where = catalogue if "://" in catalogue else str(tmp_path / "c" / catalogue)
    with pytest.raises(UserError, match=message):
        records(where)


def test_one_format_of_a_mixture(folder):
    (folder / "a.csv").write_text(CSV)
    (folder / "b.jsonl").write_text("{}")
    assert records(folder, catalogue_format="csv") == [("a.csv", 2, "Chair")]


def test_files_with_different_columns_are_refused(folder):
    (folder / "a.csv").write_text(CSV)
    (folder / "b.csv").write_text("name,classes,image\nSofa,x,a.png\n")
    assert len(records(folder)) == 2
    (folder / "b.csv").write_text("image,title,classes\n")
    with pytest.raises(UserError, match=r"a\.csv' and '.*b\.csv'.*only: name, title"):
        records(folder)


def test_json_lines_files_may_lack_keys(folder):
    for name, row in {"a": {"name": "Chair"}, "b": {"name": "Sofa", "size": 3}}.items():
        (folder / f"{name}.jsonl").write_text(json.dumps(row))
    config = DataConfig(catalogue=str(folder))
    assert open_source(locate(config), config).columns == ("name", "size")


def test_no_rows(folder):
    (folder / "c.csv").write_text("image,name,classes\n")
    with pytest.raises(
        UserError, match=r"has no rows\. Expected at least one under the columns image, name"
    ):
        read(DataConfig(catalogue=str(folder / "c.csv")))


def test_a_damaged_packed_file_is_refused(folder):
    data = gzip.compress(CSV.encode() * 100)
    for damaged in (data[:-20], data[:30] + b"\0\0\0" + data[33:], b"no gzip"):
        (folder / "c.csv.gz").write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            records(folder / "c.csv.gz")


def test_a_remote_catalogue_with_its_images(tmp_path):
    """`memory://` stands for any file system that fsspec knows."""
    memory = fsspec.filesystem("memory")
    data = image_bytes("PNG")
    memory.pipe("/test_sources/images/a.png", data)
    memory.pipe("/test_sources/part-1.csv", CSV.replace("a.png", "images/a.png").encode())
    memory.pipe("/test_sources/part-2.csv.gz", gzip.compress(CSV.encode(), mtime=0))
    for catalogue in ("memory://test_sources", "memory://test_sources/part-*"):
        result = read(DataConfig(catalogue=catalogue), spool=tmp_path)
        assert result.items["file"].tolist() == ["part-1.csv"]
        assert result.items["image_path"].str.startswith(str(tmp_path)).all()
        assert result.rejected["reason"].tolist() == ["image file is missing"]
    (row,) = records("memory://test_sources/part-1.csv")
    assert row == ("part-1.csv", 2, "Chair")
    with pytest.raises(UserError, match="No catalogue lies at 'memory://"):
        records("memory://test_sources/none.csv")


def test_images_by_class(tmp_path):
    write_images(
        tmp_path,
        ["seats/chairs/a.png", "seats/chairs/b.jpg", "lamps/a.png", "c.png", "a<b/d.png"],
    )
    (tmp_path / "lamps" / "notes.txt").write_text("hello")
    (tmp_path / "lamps" / ".hidden").write_text("hello")
    (tmp_path / "seats" / "loop").symlink_to(tmp_path)
    catalogue = read(DataConfig(catalogue=str(tmp_path)), spool=tmp_path.with_name("spool"))
    items = catalogue.items
    assert items["image"].tolist() == ["lamps/a.png", "seats/chairs/a.png", "seats/chairs/b.jpg"]
    assert items["product_id"].tolist() == ["lamps/a", "seats/chairs/a", "seats/chairs/b"]
    assert items["class_paths"].tolist() == [(("lamps",),), *[(("seats", "chairs"),)] * 2]
    assert set(items["text"]) == {""}
    assert sorted(catalogue.rejected["reason"]) == [
        "file is not an image",
        "folder name with the class separator in it: a<b/d.png",
        "image path leaves the image root",
        "no class path",
    ]
    assert catalogue.rows == 7
    with pytest.raises(UserError, match="takes a folder of images"):
        records(tmp_path / "c.png", catalogue_format="images")


def test_remote_images_by_class(tmp_path):
    memory = fsspec.filesystem("memory")
    for name in ("x/a.png", "y/b.png"):
        memory.pipe(f"/test_by_class/{name}", image_bytes("PNG"))
    catalogue = read(DataConfig(catalogue="memory://test_by_class"), spool=tmp_path)
    assert catalogue.items["class_paths"].tolist() == [(("x",),), (("y",),)]


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl", "c.parquet", "c.tfrecord", "c.jsonl.gz"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for catalogue in (tmp_path / name, tmp_path, f"{tmp_path}/c.*"):
        with pytest.raises(UserError, match=r"is not a regular file. A pipe or a device"):
            records(catalogue)


def test_a_device_is_refused():
    for format in ("csv", "jsonl", "parquet", "shards"):
        with pytest.raises(UserError, match=r"'/dev/zero' is not a regular file"):
            records("/dev/zero", catalogue_format=format)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    """Packed, 20 MB of it are 20 kB; longer ones would be skipped for hours."""
    monkeypatch.setattr("huse_tf.data.readers.jsonl.MAX_LINE_BYTES", 1_000_000)
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b'{"name": "Chair"}\n' + bytes(20_000_000)))
    with pytest.raises(UserError, match="line of more than 16000000 bytes, line 2"):
        records(tmp_path / "c.jsonl.gz")
