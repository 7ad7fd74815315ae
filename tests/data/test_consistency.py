"""What repeats or contradicts an earlier item; against plain dicts, on random catalogues."""

import dataclasses

import numpy as np
import pytest

from huse_tf.data.consistency import check_consistency
from huse_tf.data.items import Item, Rejection
from huse_tf.data.table.columns import Columns

COLUMNS = Columns(("image",), ("name",), ("classes",), item="id")
BLANK = Item("a.csv", 2, *[""] * 9, ("",), (("x",),), 1.0, (), "")


def item(row, **fields):
    return dataclasses.replace(BLANK, row=row, **fields)


def slow_compare(items):
    """("kept", id) or the row of the earlier item at fault, item by item, all pairs."""
    kept, ids, told = [], [], []
    for one in items:
        twins = [
            other
            for other in kept
            if (one.image and one.image == other.image)
            or (
                not one.image
                and not other.image
                and (one.product_id, one.item_id) == (other.product_id, other.item_id)
                and (one.image_digest, other.image_digest) != ("", "")
                and one.image_digest == other.image_digest
            )
            or (
                not (one.image or one.image_digest or other.image or other.image_digest)
                and (one.product_id, one.item_id, one.text)
                == (other.product_id, other.item_id, other.text)
            )
        ]
        family = [other for other in kept if other.product_id == one.product_id]
        if twins:
            told.append(("duplicate item", twins[0].row))
        elif family and set(family[0].class_paths) != set(one.class_paths):
            told.append(
                ("class path differs from that of an earlier row of the product", family[0].row)
            )
        else:
            kept.append(one)
            name = one.item_id or one.product_id
            number, unique = 1, name
            while unique in ids:
                number += 1
                unique = f"{name}#{number}"
            ids.append(unique)
            told.append(("kept", unique))
    return told


@pytest.mark.parametrize("seed", range(10))
def test_against_all_pairs(seed):
    generator = np.random.default_rng(seed)

    def any_of(*values):
        return values[generator.integers(len(values))]

    items = [
        item(
            row,
            item_id=any_of("", "", "i", "p1#2"),
            product_id=any_of("p1", "p2", "p1#2", "i"),
            image=any_of("", "", "x.png", "y.png", f"{row}.png"),
            image_digest=any_of("", "d1", "d2"),
            text=any_of("t1", "t2", "t3"),
            class_paths=any_of(*[(("x",), ("y", "z"))] * 8, (("y", "z"), ("x",)), (("x",),)),
        )
        for row in range(2, 102)
    ]
    told = []
    for outcome in check_consistency(items, COLUMNS):
        if isinstance(outcome, Item):
            told.append(("kept", outcome.item_id))
        else:
            what, _, where = outcome.reason.partition(": ")
            told.append((what, int(where[where.index("row ") :].split()[1])))
    assert told == slow_compare(items)


def test_rejections_pass_by():
    gone = Rejection("a.csv", 3, "p", "x.png", "image", "image file is missing")
    first, second = item(2, product_id="p"), item(4, product_id="q")
    assert [type(one) for one in check_consistency([first, gone, second], COLUMNS)] == [
        Item,
        Rejection,
        Item,
    ]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("a a a", "a a#2 a#3"),
        ("a#2 a a a", "a#2 a a#3 a#4"),
        ("a a a#2 a", "a a#2 a#2#2 a#3"),  # who comes later has to give way
    ],
)
def test_ids_are_unique(asked, given):
    items = [
        item(row, item_id=name, product_id=name, text=str(row))
        for row, name in enumerate(asked.split(), start=2)
    ]
    assert [one.item_id for one in check_consistency(items, COLUMNS)] == given.split()
