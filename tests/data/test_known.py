"""What a run knows of another catalogue."""

import dataclasses

import pandas as pd
import pytest

from huse_tf.data.items import Item
from huse_tf.data.known import known_items
from huse_tf.data.table.disk import DiskTable
from huse_tf.errors import UserError

ITEM = Item(
    file="c.csv", row=2, item_id="i", product_id="p", group_cell="", image="", image_path="", image_digest="",
    image_hash="", title="", text="", text_fields=(), class_paths=(("x",),), weight=1.0,
    attributes=(), split_cell="",
)  # fmt: skip
RUN = [
    {"item_id": "a", "product_id": "1", "title": "Oak chair", "image_digest": "d1", "image_hash": "h1", "split": "train"},
    {"item_id": "b", "product_id": "2", "title": "'=1+1", "image_digest": "", "image_hash": "", "split": "validation"},
    {"item_id": "c", "product_id": "3", "title": "Lamp", "image_digest": "d3", "image_hash": "h3", "split": "test"},
    {"item_id": "e", "product_id": "4", "title": "Bed", "image_digest": "d4", "image_hash": "h4", "split": "unseen"},
]  # fmt: skip


@pytest.fixture
def run(tmp_path):
    pd.DataFrame(RUN).assign(label=0, group_cell=["", "oak", "", ""]).to_csv(
        tmp_path / "items.csv", index=False
    )
    return tmp_path / "items.csv"


def reasons(run, *changes):
    items = [
        dataclasses.replace(ITEM, **{"item_id": f"i{n}", "product_id": f"p{n}", **each})
        for n, each in enumerate(changes)
    ]
    return known_items(DiskTable(Item, items), run).tolist()


def test_each_trait_tells(run):
    assert reasons(
        run,
        {"item_id": "a"},
        {"product_id": "1"},
        {"title": "OAK  chair"},
        {"image_hash": "h1"},
        {"image_digest": "d1", "image_hash": "h1", "title": "Oak chair"},
        {"title": "=1+1"},  # as a spreadsheet may have it
        {"group_cell": "oak"},
    ) == ["item id", "product id", "title", "near-duplicate image", "image", "title", "group"]


def test_what_is_empty_or_held_out_is_new(run):
    held_out = {"item_id": "c", "product_id": "3", "title": "Lamp", "image_digest": "d3"}
    assert reasons(run, {}, held_out, {"image_hash": "h4", "title": "Bed"}) == [""] * 3


def test_other_views_of_a_known_product_are_known(run):
    views = [{"product_id": "q", "image_digest": digest} for digest in ("new", "d1", "newer")]
    other = "another item of the product"
    assert reasons(run, *views, {"image_digest": "new"}) == [other, "image", other, ""]


def test_a_run_without_items_knows_nothing(run):
    run.write_text(run.read_text().splitlines()[0] + "\n")
    assert reasons(run, {"item_id": "a"}) == [""]


@pytest.mark.parametrize("content", [None, "", "item_id,title\na,b\n", "\0\xff"])
def test_a_missing_or_damaged_table_is_named(run, content):
    run.unlink()
    if content is not None:
        run.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"items.csv' cannot be read.*--include_known"):
        reasons(run, {})
