"""Rows of a catalogue: read, or rejected with a reason; none is lost."""

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
from tiny_catalogues import (
    HEADER,
    ROWS,
    picture_bytes,
    write_catalogue,
    write_pictures,
    write_text_catalogue,
)

from huse_tf.config import DataConfig
from huse_tf.data.catalogue import (
    Catalogue,
    check_rejected_share,
    read_catalogue,
    write_rejected,
)
from huse_tf.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """A folder with the pictures of `ROWS`."""
    write_pictures(tmp_path, [row[1] for row in ROWS])
    return tmp_path


def only_rejection(catalogue):
    assert len(catalogue.rejected) == 1
    return catalogue.rejected.iloc[0].to_dict()


def test_bundled_format(folder):
    catalogue = read_catalogue(write_catalogue(folder))
    assert catalogue.rows == 4 and catalogue.rejected.empty and catalogue.rejected_share == 0
    items = catalogue.items
    assert items["row"].tolist() == [2, 3, 4, 5]
    assert items["product_id"].tolist() == ["p1", "p1", "p2", "p3"]
    assert items["image"].tolist() == [row[1] for row in ROWS]
    assert items["image_path"].tolist() == [str((folder / row[1]).resolve()) for row in ROWS]
    assert items["image_digest"].tolist() == [
        hashlib.sha256((folder / row[1]).read_bytes()).hexdigest() for row in ROWS
    ]
    assert items["title"].tolist() == ["Oak Chair", "Oak Chair", "Sofa", "Lamp!"]
    assert items["text"].tolist()[1:] == ["Oak Chair. Four legs.", "Sofa", "Lamp! Bright, warm"]
    assert items["class_path"].tolist()[2:] == [("furniture", "seats", "sofas"), ("lighting",)]


def test_original_format_takes_equal_titles_of_a_class_for_one_product(folder):
    """The same title in another class is another product: nobody said that they are one."""
    rows = [
        ("images/a.png", "Blue Blouse", "clothing<tops<blouses"),
        ("images/b.jpg", "blue  BLOUSE", "clothing < tops < blouses"),
        ("images/c.gif", "Blue Blouse", "clothing<dresses"),
        ("images/d.bmp", "Red Blouse", "clothing<tops<blouses"),
    ]
    items = read_catalogue(write_catalogue(folder, rows, ("image", "name", "classes"))).items
    a, b, c, d = items["product_id"]
    assert a == b == "blue blouse (clothing<tops<blouses)"
    assert len({a, c, d}) == 3


def test_words_for_missing_values_and_numbers_stay_text(folder):
    rows = [("007", "images/a.png", "NA", "null", "1<2")]
    item = read_catalogue(write_catalogue(folder, rows)).items.iloc[0]
    assert (item["product_id"], item["text"], item["class_path"]) == ("007", "NA. null", ("1", "2"))


def test_further_columns_are_ignored_and_order_is_free(folder):
    header = ("licence", "classes", "name", "image", "product_id")
    rows = [("CC0", "lighting", "Lamp", "images/a.png", "p1")]
    assert len(read_catalogue(write_catalogue(folder, rows, header)).items) == 1


def test_title_is_the_first_text_that_is_there(folder):
    rows = [("p1", "images/a.png", " ", "Only a description", "lighting")]
    item = read_catalogue(write_catalogue(folder, rows)).items.iloc[0]
    assert item["title"] == item["text"] == "Only a description"


def test_control_characters_in_text_become_spaces(folder):
    rows = [("p1", "images/a.png", "Oak\x00Chair\x1b", "a\nb", "light\x00ing")]
    item = read_catalogue(write_catalogue(folder, rows)).items.iloc[0]
    assert item["text"] == "Oak Chair. a b"
    assert item["class_path"] == ("light ing",)


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"image": "images/none.png"}, "image", "picture file is missing"),
        ({"image": "../a.png"}, "image", "picture path leaves the image root"),
        ({"image": "/etc/passwd"}, "image", "picture path leaves the image root"),
        ({"image": ""}, "image", "no picture path"),
        ({"image": "bad.png"}, "image", "file is not a picture"),
        ({"name": " ", "description": "\x00"}, "name", "no text"),
        ({"classes": " "}, "classes", "no class path"),
        ({"classes": "a<<b"}, "classes", "class path with an empty level"),
        ({"classes": "a<b<"}, "classes", "class path with an empty level"),
        ({"classes": "<"}, "classes", "class path with an empty level"),
        ({"product_id": ""}, "product_id", "no product id"),
        (
            {"image": "images/../images/a.png"},
            "image",
            "duplicate item: its picture is that of line 2",
        ),
        (
            {"product_id": "p2"},
            "classes",
            "class path differs from that of an earlier row of the product: "
            "line 4 has 'furniture<seats<sofas'",
        ),
    ],
)
def test_rejected_row(folder, changes, column, reason):
    write_pictures(folder, ["extra.png"])
    (folder / "bad.png").write_text("hello")
    row = dict(zip(HEADER, ("p9", "extra.png", "Chair", "", "lighting"), strict=True)) | changes
    catalogue = read_catalogue(write_catalogue(folder, [*ROWS, tuple(row.values())]))
    assert len(catalogue.items) == 4
    assert only_rejection(catalogue) == {
        "row": 6,
        "product_id": row["product_id"],
        "image": row["image"],
        "column": column,
        "reason": reason,
    }


@pytest.mark.parametrize("fields", [2, 6])
def test_wrong_number_of_fields(folder, fields):
    rows = [("x",) * fields, *ROWS]
    rejection = only_rejection(read_catalogue(write_catalogue(folder, rows)))
    assert rejection["row"] == 2
    assert rejection["reason"] == f"wrong number of fields: {fields}, expected 5"


def test_class_name_with_the_canonical_separator_in_it(folder):
    rows = [("p1", "images/a.png", "Lamp", "", "a<b/c"), ("p2", "images/b.jpg", "Lamp", "", "a/c")]
    catalogue = read_catalogue(write_catalogue(folder, rows, class_separator="/"))
    assert only_rejection(catalogue)["reason"] == "class name with '<' in it"
    assert catalogue.items["class_path"].tolist() == [("a", "c")]


def test_a_bad_row_does_not_stand_in_the_way_of_a_good_one(folder):
    """Line 2 has the picture of line 3 but no text: line 3 repeats nothing that is usable."""
    rows = [("p1", "images/a.png", "", "", "x"), ("p1", "images/a.png", "Chair", "", "y")]
    catalogue = read_catalogue(write_catalogue(folder, rows))
    assert catalogue.items["row"].tolist() == [3]


def test_limits_come_from_the_settings(folder):
    config = write_catalogue(folder)
    small = read_catalogue(dataclasses.replace(config, max_image_pixels=95))
    assert small.rejected["reason"].str.startswith("picture has too many pixels").sum() == 4
    small = read_catalogue(dataclasses.replace(config, max_image_bytes=10))
    assert small.rejected["reason"].str.startswith("picture has too many bytes").sum() == 4


def test_image_root(folder):
    config = write_catalogue(folder, [("p1", "a.png", "Chair", "", "x")])
    config = dataclasses.replace(config, image_root=str(folder / "images"))
    assert len(read_catalogue(config).items) == 1
    with pytest.raises(UserError, match="--image_root is not a folder"):
        read_catalogue(dataclasses.replace(config, image_root=str(folder / "none")))


@pytest.mark.parametrize(
    ("header", "settings", "message"),
    [
        ("image,classes", {}, "no column 'name'"),
        ("img,name,classes", {}, "no column 'image'. Received columns: img, name, classes"),
        ("image,name,clases", {}, "no column 'classes'.*Did you mean 'clases'"),
        ("image,name,classes", {"text_columns": ("name", "tags")}, "no column 'tags'"),
        ("image,name,classes", {"product_column": "sku"}, "no column 'sku'"),
        ("image,name,classes", {"text_columns": ()}, "--text_columns is empty"),
        ("image,name,classes", {"class_separator": ""}, "--class_separator is empty"),
        ("image;name;classes", {}, "separated by ';'"),
    ],
)
def test_missing_columns(tmp_path, header, settings, message):
    with pytest.raises(UserError, match=message):
        read_catalogue(write_text_catalogue(tmp_path, f"{header}\n1,2,3\n", **settings))


@pytest.mark.parametrize("column", ["name", "description"])
def test_one_of_the_default_text_columns_is_enough(folder, column):
    rows = [("images/a.png", "Chair", "x")]
    items = read_catalogue(write_catalogue(folder, rows, ("image", column, "classes"))).items
    assert items["title"].tolist() == ["Chair"]


def test_no_catalogue_given():
    with pytest.raises(UserError, match="Expected --catalogue"):
        read_catalogue(DataConfig())


def test_a_catalogue_that_loses_rows_cannot_be_made():
    empty = pd.DataFrame({"row": []})
    with pytest.raises(ValueError, match="0 items, 0 rejected, 1 rows"):
        Catalogue(empty, empty, rows=1)


def test_check_rejected_share(folder):
    """Two of five rows lack their picture, one its text: .6, with the reasons by count."""
    bad = [(f"q{i}", f"none{i}.png", "Chair", "", "x") for i in range(2)]
    rows = [*bad, ("q3", "images/a.png", "", "", "x"), *ROWS[:2]]
    catalogue = read_catalogue(write_catalogue(folder, rows))
    check_rejected_share(catalogue, 0.6, folder / "rejected.csv")
    with pytest.raises(UserError) as caught:
        check_rejected_share(catalogue, 0.59, folder / "rejected.csv")
    message = str(caught.value)
    assert "3 of 5 rows were rejected (60.0%" in message
    assert message.index("2 × picture file is missing") < message.index("1 × no text")
    assert str(folder / "rejected.csv") in message


def test_a_catalogue_of_which_nothing_is_left_is_always_refused(tmp_path):
    catalogue = read_catalogue(write_catalogue(tmp_path))
    with pytest.raises(UserError, match="4 of 4 rows"):
        check_rejected_share(catalogue, 1.0, tmp_path / "rejected.csv")


def test_reasons_are_counted_without_their_particulars(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture_bytes("WEBP" if name[0] == "a" else "TIFF"))
    rows = [("p", name, "Chair", "", "x") for name in ("a.png", "b.png")]
    catalogue = read_catalogue(write_catalogue(tmp_path, rows))
    with pytest.raises(UserError, match="2 × picture format is not JPEG, PNG, GIF or BMP"):
        check_rejected_share(catalogue, 0.5, tmp_path / "rejected.csv")


def test_rejected_table_is_safe_in_a_spreadsheet(tmp_path):
    values = ["=1+1", "+1", "-1", "@x", " =1", "plain"]
    rows = [(value, f"{value}.png", "Chair", "", "x") for value in values]
    path = tmp_path / "rejected.csv"
    write_rejected(read_catalogue(write_catalogue(tmp_path, rows)), path)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["row", "product_id", "image", "column", "reason"]
    assert table["product_id"].tolist() == ["'=1+1", "'+1", "'-1", "'@x", "'=1", "plain"]
    assert table["image"].tolist()[-2:] == ["' =1.png", "plain.png"]


def test_rejected_table_of_a_good_catalogue_has_its_header(folder):
    path = folder / "rejected.csv"
    write_rejected(read_catalogue(write_catalogue(folder)), path)
    assert path.read_text() == "row,product_id,image,column,reason\n"


@pytest.mark.parametrize("seed", range(3))
def test_damaged_catalogues_and_pictures_lose_no_row(folder, seed):
    """Random bytes are changed, in the table or in a picture: refused in words, or all rows told."""
    generator = np.random.default_rng(seed)
    config = write_catalogue(folder, [*ROWS, *ROWS])
    files = [folder / "catalogue.csv", *(folder / row[1] for row in ROWS)]
    whole = [file.read_bytes() for file in files]
    for _ in range(60):
        for file, data in zip(files, whole, strict=True):
            damaged = bytearray(data)
            for _ in range(generator.integers(1, 4)):
                damaged[generator.integers(len(damaged))] = generator.integers(256)
            file.write_bytes(bytes(damaged[: generator.integers(1, len(data) + 1)]))
        try:
            catalogue = read_catalogue(config)
        except UserError:
            continue
        assert catalogue.rows == len(catalogue.items) + len(catalogue.rejected)
        assert catalogue.rows <= 8 + 3  # a changed byte may be a line end
