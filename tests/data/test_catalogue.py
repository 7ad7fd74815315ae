"""Rows of a catalogue: read, or rejected with a reason; none is lost."""

import base64
import dataclasses
import hashlib
import pathlib

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from tiny_catalogues import (
    HEADER,
    ROWS,
    ListSource,
    image_bytes,
    read,
    write_catalogue,
    write_images,
    write_text_catalogue,
)

from huse_tf.data.catalogue import (
    Catalogue,
    check_rejected_share,
    write_rejected,
)
from huse_tf.data.items import Item, Rejection
from huse_tf.data.table.columns import Columns
from huse_tf.data.table.disk import DiskTable
from huse_tf.data.table.records import Record
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig


@pytest.fixture
def folder(tmp_path):
    """A folder with the images of `ROWS`."""
    write_images(tmp_path, [row[1] for row in ROWS])
    return tmp_path


def only_rejection(catalogue):
    assert len(catalogue.rejected) == 1
    return catalogue.rejected.iloc[0].to_dict()


def test_bundled_format(folder):
    catalogue = read(write_catalogue(folder))
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
    assert items["text_fields"].tolist()[2:] == [("Sofa", ""), ("Lamp!", "Bright, warm")]
    assert items["class_paths"].tolist()[2:] == [
        (("furniture", "seats", "sofas"),),
        (("lighting",),),
    ]
    assert items["item_id"].tolist() == items["image"].tolist()
    assert set(items["file"]) == {"catalogue.csv"}
    assert set(items["weight"]) == {1.0} and set(items["split_cell"]) == {""}
    assert items["image_hash"].map(len).tolist() == [16] * 4


def test_original_format_takes_equal_titles_of_a_class_for_one_product(folder):
    """The same title in another class is another product: nobody said that they are one."""
    rows = [
        ("images/a.png", "Blue Blouse", "clothing<tops<blouses"),
        ("images/b.jpg", "blue  BLOUSE", "clothing < tops < blouses"),
        ("images/c.gif", "Blue Blouse", "clothing<dresses"),
        ("images/d.bmp", "Red Blouse", "clothing<tops<blouses"),
    ]
    items = read(write_catalogue(folder, rows, ("image", "name", "classes"))).items
    a, b, c, d = items["product_id"]
    assert a == b == "blue blouse (clothing<tops<blouses)"
    assert len({a, c, d}) == 3


def test_words_for_missing_values_and_numbers_stay_text(folder):
    rows = [("007", "images/a.png", "NA", "null", "1<2")]
    item = read(write_catalogue(folder, rows)).items.iloc[0]
    assert (item["product_id"], item["text"], item["class_paths"]) == (
        "007",
        "NA. null",
        (("1", "2"),),
    )


def test_further_columns_are_ignored_and_order_is_free(folder):
    header = ("licence", "classes", "name", "image", "product_id")
    rows = [("CC0", "lighting", "Lamp", "images/a.png", "p1")]
    assert len(read(write_catalogue(folder, rows, header)).items) == 1


def test_title_is_the_first_text_that_is_there(folder):
    rows = [("p1", "images/a.png", " ", "Only a description", "lighting")]
    item = read(write_catalogue(folder, rows)).items.iloc[0]
    assert item["title"] == item["text"] == "Only a description"


def test_columns_between_separators(folder):
    """Every column keeps its place, and a cell cannot end it; what cells say is kept as it was."""
    rows = [
        ("p1", "images/a.png", "Oak [SEP] Chair", "Four legs.", "lighting"),
        ("p2", "images/b.jpg", "", "A lamp", "lighting"),
        ("p3", "images/c.gif", "Lamp", "", "lighting"),
        ("p4", "images/d.bmp", "", "", "lighting"),
    ]
    items = read(write_catalogue(folder, rows, text_separator="[SEP]")).items
    assert items["text"].tolist() == [
        *("Oak Chair [SEP] Four legs.", "[SEP] A lamp", "Lamp [SEP]", "")
    ]
    assert items["text_fields"].iloc[0] == ("Oak [SEP] Chair", "Four legs.")


def test_control_characters_in_text_become_spaces(folder):
    rows = [("p1", "images/a.png", "Oak\x00Chair\x1b", "a\nb", "light\x00ing")]
    item = read(write_catalogue(folder, rows)).items.iloc[0]
    assert item["text"] == "Oak Chair. a b"
    assert item["class_paths"] == (("light ing",),)


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"image": "images/none.png"}, "image", "image file is missing"),
        ({"image": "../a.png"}, "image", "image path leaves the image root"),
        ({"image": "/etc/passwd"}, "image", "image path leaves the image root"),
        (
            {"image": "https://a.b/c.png"},
            "image",
            "image given as a URL, of which none is fetched",
        ),
        ({"image": "a\0b"}, "image", "image path with a NUL character"),
        ({"image": " ", "name": ""}, "name", "neither image nor text"),
        ({"image": "bad.png"}, "image", "file is not an image"),
        ({"classes": " "}, "classes", "no class path"),
        ({"classes": "a<<b"}, "classes", "class path with an empty level"),
        ({"classes": "a<b<"}, "classes", "class path with an empty level"),
        ({"classes": "<"}, "classes", "class path with an empty level"),
        ({"product_id": ""}, "product_id", "no product id"),
        (
            {"image": "images/../images/a.png"},
            "image",
            "duplicate item: its image is that of row 2",
        ),
        (
            {"product_id": "p2"},
            "classes",
            "class path differs from that of an earlier row of the product: "
            "row 4 has 'furniture<seats<sofas'",
        ),
    ],
)
def test_rejected_row(folder, changes, column, reason):
    write_images(folder, ["extra.png"])
    (folder / "bad.png").write_text("hello")
    row = dict(zip(HEADER, ("p9", "extra.png", "Chair", "", "lighting"), strict=True)) | changes
    catalogue = read(write_catalogue(folder, [*ROWS, tuple(row.values())]))
    assert len(catalogue.items) == 4
    assert only_rejection(catalogue) == {
        "file": "catalogue.csv",
        "row": 6,
        "product_id": row["product_id"],
        "image": row["image"],
        "column": column,
        "reason": reason,
    }


@pytest.mark.parametrize("fields", [2, 6])
def test_wrong_number_of_fields(folder, fields):
    rows = [("x",) * fields, *ROWS]
    rejection = only_rejection(read(write_catalogue(folder, rows)))
    assert rejection["row"] == 2
    assert rejection["reason"] == f"wrong number of fields: {fields}, expected 5"


def test_class_name_with_the_canonical_separator_in_it(folder):
    rows = [("p1", "images/a.png", "Lamp", "", "a<b/c"), ("p2", "images/b.jpg", "Lamp", "", "a/c")]
    catalogue = read(write_catalogue(folder, rows, class_separator="/"))
    assert only_rejection(catalogue)["reason"] == "class name with '<' in it"
    assert catalogue.items["class_paths"].tolist() == [(("a", "c"),)]


def test_a_bad_row_does_not_stand_in_the_way_of_a_good_one(folder):
    """Line 2 has the image of line 3 but no class: line 3 repeats nothing that is usable."""
    rows = [("p1", "images/a.png", "Sofa", "", ""), ("p1", "images/a.png", "Chair", "", "y")]
    catalogue = read(write_catalogue(folder, rows))
    assert catalogue.items["row"].tolist() == [3]


def test_limits_come_from_the_settings(folder):
    config = write_catalogue(folder)
    small = read(dataclasses.replace(config, max_image_pixels=95))
    assert small.rejected["reason"].str.startswith("image has too many pixels").sum() == 4
    small = read(dataclasses.replace(config, max_image_bytes=10))
    assert small.rejected["reason"].str.startswith("image has too many bytes").sum() == 4


def test_image_root(folder):
    config = write_catalogue(folder, [("p1", "a.png", "Chair", "", "x")])
    config = dataclasses.replace(config, image_root=str(folder / "images"))
    assert len(read(config).items) == 1
    with pytest.raises(UserError, match="--image_root is not a folder"):
        read(dataclasses.replace(config, image_root=str(folder / "none")))


@pytest.mark.parametrize(
    ("header", "settings", "message"),
    [
        ("image,classes", {}, "no column 'name'"),
        ("pic,name,classes", {}, "no column 'image'. Received columns: pic, name, classes"),
        ("image,name,clases", {}, "no column 'classes'.*Did you mean 'clases'"),
        ("image,name,classes", {"text_columns": ("name", "tags")}, "no column 'tags'"),
        ("image,name,classes", {"product_column": "sku"}, "no column 'sku'"),
        ("image,name,classes", {"text_columns": (), "image_columns": ()}, "are both empty"),
        ("image,name,classes", {"class_columns": ()}, "--class_columns is empty"),
        ("image,name,classes", {"class_separator": ""}, "--class_separator is empty"),
        ("image;name;classes", {}, "separated by ';'"),
        ("image,name,classes", {"text_separator": " | "}, "has white space.*Received: ' | '"),
        ("image,name,classes", {"text_separator": " "}, "has white space"),
    ],
)
def test_missing_columns(tmp_path, header, settings, message):
    with pytest.raises(UserError, match=message):
        read(write_text_catalogue(tmp_path, f"{header}\n1,2,3\n", **settings))


@pytest.mark.parametrize("column", ["name", "description"])
def test_one_of_the_default_text_columns_is_enough(folder, column):
    rows = [("images/a.png", "Chair", "x")]
    items = read(write_catalogue(folder, rows, ("image", column, "classes"))).items
    assert items["title"].tolist() == ["Chair"]


def test_no_catalogue_given():
    with pytest.raises(UserError, match="Expected --catalogue"):
        read(DataConfig())


def test_a_catalogue_that_loses_rows_cannot_be_made():
    """Three rejections of two rows are two rows told, not three and not four."""
    bad = [Rejection("a.csv", row, "", "", "", "odd") for row in (2, 2, 3)]
    tables = DiskTable(Item), DiskTable(Rejection, bad)
    with pytest.raises(ValueError, match="0 items and 3 rejected, of 2 rows; expected 3 rows"):
        Catalogue(*tables, rows=3, columns=Columns((), (), ()))


def test_check_rejected_share(folder):
    """Two of five rows lack their image, one its text: .6, with the reasons by count."""
    bad = [(f"q{i}", f"none{i}.png", "Chair", "", "x") for i in range(2)]
    rows = [*bad, ("q3", "images/a.png", "Chair", "", ""), *ROWS[:2]]
    catalogue = read(write_catalogue(folder, rows))
    check_rejected_share(catalogue, 0.6, folder / "rejected.csv")
    with pytest.raises(UserError) as caught:
        check_rejected_share(catalogue, 0.59, folder / "rejected.csv")
    message = str(caught.value)
    assert "3 of 5 rows were rejected (60.0%" in message
    assert message.index("2 × image file is missing") < message.index("1 × no class path")
    assert str(folder / "rejected.csv") in message


def test_a_catalogue_of_which_nothing_is_left_is_always_refused(tmp_path):
    catalogue = read(write_catalogue(tmp_path))
    with pytest.raises(UserError, match="4 of 4 rows"):
        check_rejected_share(catalogue, 1.0, tmp_path / "rejected.csv")


def test_reasons_are_counted_without_their_particulars(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(image_bytes("PPM" if name[0] == "a" else "TIFF"))
    rows = [("p", name, "Chair", "", "x") for name in ("a.png", "b.png")]
    catalogue = read(write_catalogue(tmp_path, rows))
    with pytest.raises(UserError, match="2 × image format is not JPEG, PNG, GIF, BMP or WebP"):
        check_rejected_share(catalogue, 0.5, tmp_path / "rejected.csv")


def test_rejected_table_is_safe_in_a_spreadsheet(tmp_path):
    values = ["=1+1", "+1", "-1", "@x", " =1", "|x", "plain"]
    rows = [(value, f"{value}.png", "Chair", "", "x") for value in values]
    path = tmp_path / "rejected.csv"
    write_rejected(read(write_catalogue(tmp_path, rows)), path)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["file", "row", "product_id", "image", "column", "reason"]
    assert table["product_id"].tolist() == ["'=1+1", "'+1", "'-1", "'@x", "'=1", "'|x", "plain"]
    assert table["image"].tolist()[-2:] == ["'|x.png", "plain.png"]


def test_rejected_table_of_a_good_catalogue_has_its_header(folder):
    path = folder / "rejected.csv"
    write_rejected(read(write_catalogue(folder)), path)
    assert path.read_text() == "file,row,product_id,image,column,reason\n"


@pytest.mark.parametrize("seed", range(3))
def test_damaged_catalogues_and_images_lose_no_row(folder, seed):
    """Random bytes are changed, in the table or in an image: refused in words, or all rows told."""
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
            catalogue = read(config)
        except UserError:
            continue
        assert catalogue.rows == len(catalogue.items) + len(catalogue.rejected)
        assert catalogue.rows <= 8 + 3  # a changed byte may be a line end


def test_missing_image_or_text_is_kept_or_rejected(folder):
    rows = [("p1", "", "Chair", "", "x"), ("p2", "images/a.png", " ", "\x00", "x")]
    config = write_catalogue(folder, rows)
    items = read(config).items
    assert items[["image", "image_path", "image_digest", "image_hash"]].iloc[0].tolist() == [""] * 4
    assert items["item_id"].tolist() == ["p1", "images/a.png"]
    assert items[["title", "text", "text_fields"]].iloc[1].tolist() == ["", "", ("", "")]
    rejected = read(dataclasses.replace(config, missing="reject"))
    assert rejected.rejected["reason"].tolist() == ["no image", "no text"]
    assert rejected.rejected["column"].tolist() == ["image", "name"]


def test_a_product_without_a_title_is_its_image_or_its_row(folder):
    rows = [("images/a.png", "", "x"), ("images/b.jpg", "", "x")]
    config = write_catalogue(folder, rows, ("image", "name", "classes"))
    assert read(config).items["product_id"].tolist() == ["images/a.png", "images/b.jpg"]


def test_several_images_a_row(folder):
    """Three of a separated cell, of which one is missing, and one of another column."""
    rows = [
        ("p1", "images/a.png| images/none.png|images/b.jpg|", "images/c.gif", "Chair", "x"),
        ("p2", "", "images/d.bmp", "Lamp", "x"),
    ]
    header = ("product_id", "photos", "view", "name", "classes")
    config = write_catalogue(
        folder, rows, header, image_columns=("photos", "view"), image_separator="|"
    )
    catalogue = read(config)
    assert catalogue.rows == 2
    assert catalogue.items["image"].str[7].tolist() == ["a", "b", "c", "d"]
    assert catalogue.items["product_id"].tolist() == ["p1"] * 3 + ["p2"]
    assert only_rejection(catalogue) | {"row": 0} == {
        "file": "catalogue.csv",
        "row": 0,
        "product_id": "p1",
        "image": "images/none.png",
        "column": "photos",
        "reason": "image file is missing",
    }


def test_an_image_by_template(folder):
    """Only `{column}` means anything in it; an empty cell means no image."""
    rows = [("a", "Chair", "x"), ("", "Lamp", "x"), ("../../b", "Sofa", "x")]
    catalogue = read(
        write_catalogue(folder, rows, ("id", "name", "classes"), image_columns=("images/{id}.png",))
    )
    assert catalogue.items["image"].tolist() == ["images/a.png", ""]
    assert only_rejection(catalogue)["reason"] == "image path leaves the image root"


def test_base64(tmp_path):
    """Line breaks do not matter; the same image of another product is another item."""
    data = image_bytes("PNG")
    text = base64.encodebytes(data).decode()
    rows = [
        ("p1", text, "Chair", "", "x"),
        ("p2", text, "Sofa", "", "x"),
        ("p1", text, "Chair", "", "x"),
        ("p3", text[:-7], "Lamp", "", "x"),
        ("p4", "====", "Lamp", "", "x"),
        ("p5", "é", "Lamp", "", "x"),
        ("p6", "A" * 200_000, "Lamp", "", "x"),
    ]
    catalogue = read(write_catalogue(tmp_path, rows, image_cells="base64", max_image_bytes=100_000))
    assert catalogue.items["item_id"].tolist() == ["p1", "p2"]
    digest = hashlib.sha256(data).hexdigest()
    assert set(catalogue.items["image_digest"]) == {digest}
    (path,) = set(catalogue.items["image_path"])
    assert path == str(tmp_path / "spool" / digest[:2] / digest)
    assert pathlib.Path(path).read_bytes() == data
    reasons = [reason.split(": ")[0] for reason in catalogue.rejected["reason"]]
    assert reasons == [
        "duplicate item",
        *["image is not base64"] * 3,
        "image has too many bytes",
    ]
    assert set(catalogue.rejected["image"]) == {""}


def test_equal_texts_of_a_product_without_images_are_one_item(tmp_path):
    rows = [(p, "", t, "", "x") for p, t in (("p1", "A"), ("p1", "A"), ("p1", "B"), ("p2", "A"))]
    catalogue = read(write_catalogue(tmp_path, rows))
    assert catalogue.items["item_id"].tolist() == ["p1", "p1#2", "p2"]
    assert only_rejection(catalogue)["reason"] == "duplicate item: its text is that of row 2"
    assert only_rejection(catalogue)["column"] == "name"


def test_equal_images_as_bytes_are_different_items_if_a_column_says_so(tmp_path):
    cells = {"image": image_bytes("PNG"), "name": "Chair", "classes": "x"}
    source = ListSource(*(Record("", n, {**cells, "id": i}) for n, i in enumerate("aba")))
    catalogue = read(DataConfig(item_column="id"), source, tmp_path)
    assert catalogue.items["item_id"].tolist() == ["a", "b"]
    assert only_rejection(catalogue)["reason"] == "duplicate item: its image is that of row 0"


def test_ids_of_items(folder):
    rows = [(i, f"images/{n}", "Chair", "x") for i, n in zip("aa", ("a.png", "b.jpg"), strict=True)]
    rows = [("a#2", "images/c.gif", "Chair", "x"), *rows]
    config = write_catalogue(folder, rows, ("id", "image", "name", "classes"), item_column="id")
    assert read(config).items["item_id"].tolist() == ["a#2", "a", "a#3"]


def test_weight_attributes_and_split(folder):
    header = (*HEADER, "w", "colour", "half")
    extra = [("0.5", " red ", "test"), ("0", "", ""), ("nan", "", ""), ("x", "", ""), ("", "", "")]
    rows = [(*ROWS[0][:1], "", *ROWS[0][2:], *more) for more in extra]
    catalogue = read(
        write_catalogue(
            folder, rows, header, weight_column="w", attribute_columns=("colour", "w"),
            split_column="half",
        )
    )  # fmt: skip
    item = catalogue.items.iloc[0]
    assert (item["weight"], item["attributes"], item["split_cell"]) == (0.5, ("red", "0.5"), "test")
    assert catalogue.rejected["reason"].tolist() == [
        f"weight is not a number above 0: {given!r}" for given in ("0", "nan", "x", "")
    ]


def test_levels_in_columns(folder):
    """A level that the next column repeats is one; the lowest may be empty, others not."""
    header = ("image", "name", "top", "middle", "low")
    levels = [
        ("Accessories", "Watches", "Watches"),
        ("Apparel", "Topwear", ""),
        ("Apparel<Topwear", "Topwear<Shirts", "Polo"),
        ("", "Topwear", "Shirts"),
        ("", "", " "),
    ]
    rows = [("", f"Item {i}", *row) for i, row in enumerate(levels)]
    catalogue = read(write_catalogue(folder, rows, header, class_columns=("top", "middle", "low")))
    assert catalogue.items["class_paths"].tolist() == [
        (("Accessories", "Watches"),),
        (("Apparel", "Topwear"),),
        (("Apparel", "Topwear", "Shirts", "Polo"),),
    ]
    assert catalogue.rejected["reason"].tolist() == [
        "class path with an empty level",
        "no class path",
    ]


def test_several_labels(folder):
    rows = [
        ("p1", "images/a.png", "Chair", "", "a<b | c|a<b|"),
        ("p1", "images/b.jpg", "Chair", "", "c|a<b"),
    ]
    config = write_catalogue(folder, rows, multi_label=True)
    paths = read(config).items["class_paths"].tolist()
    assert paths == [(("a", "b"), ("c",)), (("c",), ("a", "b"))]
    with pytest.raises(UserError, match="--multi_label takes one class column"):
        read(dataclasses.replace(config, class_columns=("classes", "name")))


def test_several_classes_where_one_is_expected(folder):
    source = ListSource(
        Record("f", 1, {"image": "images/a.png", "name": "A", "classes": ["a<b", "c"]}),
        Record("f", 2, {"image": "images/b.jpg", "name": "B", "classes": ["c", "c"]}),
    )
    catalogue = read(DataConfig(image_root=str(folder)), source)
    assert only_rejection(catalogue)["reason"] == "several classes: a<b | c"
    assert catalogue.items["class_paths"].tolist() == [(("c",),)]


def test_classes_by_their_names_in_a_tree(folder):
    (folder / "tree.txt").write_text("Furniture > Seats > Chairs\nLighting > Lamps\n")
    rows = [("", str(i), c) for i, c in enumerate(("chairs", "Lighting<Lamps", "Sofas"))]
    config = write_catalogue(
        folder, rows, ("image", "name", "classes"), taxonomy=str(folder / "tree.txt")
    )
    catalogue = read(config)
    assert catalogue.items["class_paths"].tolist() == [
        (("Furniture", "Seats", "Chairs"),),
        (("Lighting", "Lamps"),),
    ]
    assert only_rejection(catalogue)["reason"].startswith("class is not in the taxonomy: ")


def test_bytes_lists_and_faulty_cells(tmp_path):
    """A fault in a column that nobody needs is none."""
    images = [image_bytes("PNG", seed) for seed in range(2)]
    good = {"image": images, "name": ["red", "", "chair"], "classes": b"x", "other": None}
    source = ListSource(
        Record("", 1, good, faults={"other": "cell is neither text nor number: dict"}),
        Record("", 2, {**good, "name": b"\xff"}),
        Record("", 3, {"image": "a.png"}, faults={"classes": "text with half of a surrogate pair"}),
        Record("", 4, {}, fault="line is not JSON"),
        Record("", 5, {**good, "name": ["x" * 500_000, "y" * 500_001]}),
    )
    catalogue = read(DataConfig(image_root=str(tmp_path)), source, spool=tmp_path / "spool")
    assert catalogue.items["text"].tolist() == ["red, chair"] * 2
    assert catalogue.items["item_id"].tolist() == ["red, chair (x)", "red, chair (x)#2"]
    assert catalogue.rejected[["column", "reason"]].to_numpy().tolist() == [
        ["name", "text is not UTF-8: from byte 0 on"],
        ["classes", "text with half of a surrogate pair"],
        ["", "line is not JSON"],
        ["name", "cell is too long: more than 1000000 characters"],
    ]


def test_webp_is_taken_as_it_is_and_a_bmp_with_a_palette_as_png(tmp_path):
    (tmp_path / "a.webp").write_bytes(image_bytes("WEBP"))
    (tmp_path / "b.bmp").write_bytes(image_bytes("BMP", mode="P"))
    rows = [("p", name, "Chair", "", "x") for name in ("a.webp", "b.bmp")]
    webp, bmp = read(write_catalogue(tmp_path, rows)).items["image_path"].map(pathlib.Path)
    assert webp == tmp_path / "a.webp"
    assert bmp.parent.parent == tmp_path / "spool"
    with PIL.Image.open(tmp_path / "b.bmp") as before, PIL.Image.open(bmp) as after:
        assert after.format == "PNG" and after.mode == "RGB"
        assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after))
    digest = read(write_catalogue(tmp_path, rows)).items["image_digest"].iloc[1]
    assert digest == hashlib.sha256(bmp.read_bytes()).hexdigest() == bmp.name
