"""A catalogue of nine items, counted by hand."""

import dataclasses
import pathlib

import numpy as np
import PIL.Image
import pytest

from huse_tf import keys
from huse_tf.data.assembly import Assembly, labelled
from huse_tf.data.catalogue import Catalogue
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.data.items import Item, Rejection
from huse_tf.data.splits.leaks import leaks
from huse_tf.data.summary.summarize import summarize
from huse_tf.data.table.columns import Columns
from huse_tf.data.table.disk import DiskTable
from huse_tf.sections import DataConfig

CONFIG = DataConfig(catalogue="shop.csv", weight_column="w")
CHAIR, LAMP, RUG = ("Furniture", "Chair"), ("Light", "Lamp"), ("Rug",)
# product, image, its digest and hash, title, description, class, split
ROWS = [
    ("a", "one.png", "d1", "00000000000000f0", "Oak chair", "A chair of oak", CHAIR, keys.TRAIN),
    ("a", "two.jpg", "d2", "000000000000f000", "Oak chair", "A chair of oak", CHAIR, keys.TRAIN),
    ("b", "one.png", "d1", "00000000000000f0", "OAK  Chair", "", CHAIR, keys.TEST),
    ("c", "", "", "", "Lamp", "Gives light", LAMP, keys.TRAIN),
    ("d", "", "", "", "Floor lamp", "", LAMP, keys.VALIDATION),
    ("e", "two.jpg", "d3", "000000000000f000", "", "", LAMP, keys.TRAIN),
    ("f", "one.png", "d4", "", "Red rug", "", RUG, keys.TEST),
    ("g", "two.jpg", "d5", "0f00000000000000", "Blue rug", "", RUG, keys.UNSEEN),
    ("h", "one.png", "d6", "f000000000000000", "Wool rug", "", RUG, keys.TEST),
]
COLUMNS = Columns(
    ("image",),
    ("name", "description"),
    ("classes",),
    product="product_id",
    weight="w",
    attributes=("colour",),
    guessed=(("text_columns", "name"),),
)


@pytest.fixture
def shop(tmp_path):
    """The catalogue, and its items with labels and splits; images of 40 × 30 and 200 × 100."""
    PIL.Image.new("L", (40, 30)).save(tmp_path / "one.png")
    PIL.Image.new("RGB", (200, 100)).save(tmp_path / "two.jpg")
    items = [
        Item(
            file="shop.csv",
            row=row,
            item_id=str(row),
            product_id=product,
            group_cell="",
            image=image,
            image_path=str(tmp_path / image) if image else "",
            image_digest=digest,
            image_hash=hash_,
            title=title,
            text=f"{title} {text}".strip(),
            text_fields=(title, text),
            class_paths=(path,),
            weight=float(row),
            attributes=("red" if row % 2 else "",),
            split_cell="",
        )
        for row, (product, image, digest, hash_, title, text, path, _) in enumerate(ROWS, start=2)
    ]
    bad = [
        Rejection("/far/shop.csv", 11, "x", "<b>", "image", "image file is missing"),
        Rejection("/far/shop.csv", 12, "y", "", "classes", "several classes: Rug | Lamp"),
        Rejection("/far/shop.csv", 13, "z", "", "classes", "several classes: Rug | Chair"),
    ]
    table = DiskTable(Item, items)
    catalogue = Catalogue(table, DiskTable(Rejection, bad), 12, COLUMNS)
    taxonomy = Taxonomy((CHAIR, LAMP, RUG))
    splits = np.array([split for *_, split in ROWS], object)
    table = labelled(table, taxonomy).assign(split=splits)
    return catalogue, Assembly(table, taxonomy, leaks(table, splits, 0))


def part(summary, section, title=""):
    (found,) = (
        each
        for one in summary.sections
        if one.title == section
        for each in one.parts
        if each.title == title
    )
    return found


def test_figures(shop):
    summary = summarize(*shop, CONFIG)
    assert summary.title == "Catalogue shop.csv"
    assert summary.figures == {
        "rows": 12,
        "items": 9,
        "products": 8,
        "classes": 3,
        "rejected": 3,
    }


def test_columns(shop):
    assert part(summarize(*shop, CONFIG), "Columns").rows == (
        ("image", "image", "set, or by default"),
        ("text", "name", "guessed by its name"),
        ("text", "description", "set, or by default"),
        ("class", "classes", "set, or by default"),
        ("product", "product_id", "set, or by default"),
        ("weight", "w", "set, or by default"),
        ("attribute", "colour", "set, or by default"),
    )


def test_products(shop):
    """c and d have no image, e has no text; a has two images, five products have one."""
    summary = summarize(*shop, CONFIG)
    assert part(summary, "Products", "Items have").rows == (
        ("image and text", 6, 6 / 9),
        ("image only", 1, 1 / 9),
        ("text only", 2, 2 / 9),
    )
    images = part(summary, "Products", "Products by number of images")
    assert images.bins == (("1", 5), ("2", 1))
    assert part(summary, "Products", "Weights of items").rows == (("2", "6", "10"),)


def test_classes(shop):
    """Two levels: Furniture, Light, Rug on top; Chair and Lamp below."""
    summary = summarize(*shop, CONFIG)
    assert part(summary, "Classes", "Levels of the tree, from the top").rows == ((1, 3), (2, 2))
    assert part(summary, "Classes", "Classes by number of items").bins == (("3", 3),)
    assert part(summary, "Classes", "Largest classes").rows == (
        ("Chair", 3, 2, 0, 1, 0),
        ("Lamp", 3, 2, 1, 0, 0),
        ("Rug", 3, 0, 0, 2, 1),
    )


def test_smallest_classes_where_not_all_are_listed(shop, monkeypatch):
    monkeypatch.setattr("huse_tf.data.summary.summarize._MAX_CLASSES", 2)
    summary = summarize(*shop, CONFIG)
    assert [row[0] for row in part(summary, "Classes", "Largest classes").rows] == ["Chair", "Lamp"]
    assert part(summary, "Classes", "Smallest classes").rows[0] == ("Rug", 3)


def test_several_labels(shop):
    """The chairs are lamps too: 6 of 9 items have one label, 3 have two, and Lamp has 6 items."""
    catalogue, assembly = shop
    labels = np.empty(9, object)
    labels[:] = [(0, 1) if label == 0 else (label,) for label in assembly.table["label"]]
    assembly = dataclasses.replace(assembly, table=assembly.table.assign(labels=labels))
    summary = summarize(catalogue, assembly, dataclasses.replace(CONFIG, multi_label=True))
    assert part(summary, "Classes", "Items by number of classes").bins == (("1", 6), ("2", 3))
    assert part(summary, "Classes", "Largest classes").rows[0][:2] == ("Lamp", 6)


def test_texts_and_tokens(shop):
    """Titles of 0, 1 or 2 words; limit 4 cuts the texts of 5 and 9 tokens of four."""
    summary = summarize(*shop, CONFIG, token_counts=np.array([2, 4, 5, 9]), token_limit=4)
    assert part(summary, "Texts", "Items by number of words in 'name'").bins == (
        ("0", 1),
        ("1", 1),
        ("2", 7),
    )
    assert part(summary, "Texts", "Tokens of the text encoder").rows == ((4, 4, 9, 2, 0.5),)
    assert len(summarize(*shop, CONFIG).sections[4].parts) == 2  # nothing is said of tokens


def test_images(shop):
    """Each file is opened once, however many items have it."""
    summary = summarize(*shop, CONFIG)
    assert part(summary, "Images", "Format and mode of pixels").rows == (
        ("PNG, L", 1),
        ("JPEG, RGB", 1),
    )
    widths = part(summary, "Images", "Images by width in pixels")
    assert widths.bins == (("20–49", 1), ("50–99", 0), ("100–199", 0), ("200–499", 1))
    heights = part(summary, "Images", "Images by height in pixels")
    assert heights.note == "Median 65; from 30 to 100."


def test_no_images_no_section(shop):
    catalogue, assembly = shop
    nothing = np.full(9, "", object)
    bare = assembly.table.assign(image_path=nothing, image_digest=nothing, image_hash=nothing)
    summary = summarize(catalogue, dataclasses.replace(assembly, table=bare), CONFIG)
    assert "Images" not in [section.title for section in summary.sections]


def test_duplicates(shop):
    """a and b share title (3 items), image and hash (a's first and b); a and e share a hash."""
    rows = part(summarize(*shop, CONFIG), "Duplicates").rows
    assert [row[1:] for row in rows] == [(3, 1), (2, 1), (4, 2)]


def test_split_and_leaks(shop):
    """b (test) has the title and image of a (train); rugs are not learnt, though held out."""
    summary = summarize(*shop, CONFIG)
    assert part(summary, "Split").rows == (
        ("train", 4, 4 / 9, 3, 2),
        ("validation", 1, 1 / 9, 1, 1),
        ("test", 3, 3 / 9, 3, 2),
        ("unseen", 1, 1 / 9, 1, 1),
    )
    found = {row[0]: row[1:3] for row in part(summary, "Split", "Leak check").rows}
    assert found == {"title": (1, 1), "image": (1, 1), "near-duplicate image": (1, 1)}


def test_classes_in_one_split_only(shop):
    """Without the unseen item, rugs are test items that no training item speaks of."""
    catalogue, assembly = shop
    table = assembly.table
    splits = np.where(table["split"] == keys.UNSEEN, keys.TEST, table["split"])
    splits[table["label"] == 0] = keys.TRAIN
    assembly = dataclasses.replace(assembly, table=table.assign(split=splits))
    summary = summarize(catalogue, assembly, CONFIG)
    assert [row[1:] for row in part(summary, "Split", "Classes in one split only").rows] == [
        (1, "Chair"),
        (1, "Rug"),
    ]
    assert len(part(summary, "Split").rows) == 3


def test_held_out_classes_are_not_missed_in_training(shop):
    catalogue, assembly = shop
    table = assembly.table
    splits = np.where(table["label"] == 2, keys.UNSEEN, table["split"])
    assembly = dataclasses.replace(assembly, table=table.assign(split=splits))
    summary = summarize(catalogue, assembly, CONFIG)
    assert part(summary, "Split", "Classes in one split only").rows[1][1:] == (0, "")


def test_rejected(shop):
    assert part(summarize(*shop, CONFIG), "Rejected").rows == (
        ("several classes", 2, "shop.csv, row 12", "classes", "several classes: Rug | Lamp"),
        ("image file is missing", 1, "shop.csv, row 11", "image", "image file is missing"),
    )


def test_nothing_rejected(shop):
    catalogue, assembly = shop
    none = DiskTable(Rejection)
    summary = summarize(dataclasses.replace(catalogue, rejections=none, rows=9), assembly, CONFIG)
    assert part(summary, "Rejected").note == "Nothing was rejected."
    assert "Nothing was rejected." in summary.as_text()


def test_attributes(shop):
    """Rows 2 to 10: the odd ones, four, are red."""
    rows = part(summarize(*shop, CONFIG), "Attributes").rows
    assert rows == (("colour", 1, 5, "red (4)"),)


def test_samples(shop):
    """One per product, in the order of the classes; the lamp has no image."""
    samples = summarize(*shop, CONFIG).samples
    assert [sample.title for sample in samples][:3] == ["Oak chair", "OAK  Chair", "Lamp"]
    assert len(samples) == 8 and samples[2].image is None
    assert samples[0].classes == "Furniture<Chair" and samples[0].split == keys.TRAIN
    assert pathlib.Path(samples[0].image).name == "one.png"
