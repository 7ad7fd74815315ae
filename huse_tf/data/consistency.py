"""Compares all items of a catalogue: rejects repetitions and contradictions, makes ids unique."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Iterator

from huse_tf.data.class_cells import path_names
from huse_tf.data.items import Item, Rejection
from huse_tf.data.table.columns import Columns
from huse_tf.data.table.disk import DiskDict
from huse_tf.files import sha256


def check_consistency(
    outcomes: Iterable[Item | Rejection], columns: Columns
) -> Iterator[Item | Rejection]:
    """Rejects items that repeat or contradict an earlier item, and makes item ids unique.

    The first item is kept. Two items with the same image file repeat each other, whatever their
    products. Two equal images given as bytes, or two equal texts without an image, repeat each other
    within one product, unless an item column gives them different ids. Two items of one product with
    different classes contradict each other.

    Args:
        outcomes: items and rejections, in the order of the catalogue.
        columns: the catalogue's columns, to name the column at fault.

    Returns:
        As many outcomes, in the same order.
    """
    by_content = DiskDict()  # sha256 of the content -> place of the first such item
    by_product = DiskDict()  # product -> classes and place of its first item
    ids = DiskDict()  # id -> how many items asked for it
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            yield outcome
            continue
        here = (outcome.file, outcome.row)
        first = by_product.get(outcome.product_id)
        classes, there = first or (outcome.class_paths, here)
        content = sha256(*_content(outcome))
        twin = by_content.get(content)
        if twin is not None:
            column = (*(columns.images if outcome.image_path else columns.text), "")[0]
            what = "image" if outcome.image_path else "text"
            reason = f"duplicate item: its {what} is that of {_place(twin, outcome)}"
        elif set(classes) != set(outcome.class_paths):
            column = columns.classes[0]
            reason = (
                "class path differs from that of an earlier row of the product: "
                f"{_place(there, outcome)} has {path_names(classes)!r}"
            )
        else:
            by_content[content] = here
            if first is None:
                by_product[outcome.product_id] = classes, here
            name = _unique_id(outcome, ids)
            same = name == outcome.item_id
            yield outcome if same else dataclasses.replace(outcome, item_id=name)
            continue
        yield Rejection.of(outcome, column, reason)


def _content(item: Item) -> tuple[str, ...]:
    if item.image:
        return ("image file", posixpath.normpath(item.image))
    if item.image_digest:
        return ("image", item.product_id, item.item_id, item.image_digest)
    return ("text", item.product_id, item.item_id, item.text)


def _place(place: tuple[str, int], item: Item) -> str:
    file, row = place
    return f"row {row}" if file == item.file else f"row {row} of {file}"


def _unique_id(item: Item, ids: DiskDict) -> str:
    name = unique = item.item_id or item.product_id
    count = ids.get(name, 0)
    while ids.get(unique):  # another item may have the id "a#2" in the catalogue
        count += 1
        unique = f"{name}#{count}"
    if unique != name:
        ids[unique] = 1
    ids[name] = max(count, 1)
    return unique
