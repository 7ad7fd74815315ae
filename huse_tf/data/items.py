"""What a catalogue consists of: items that can be used, rows that cannot, and what tells them apart."""

from __future__ import annotations

import dataclasses

from huse_tf.data.classes.taxonomy import ClassPath
from huse_tf.data.classes.tree import ClassTree
from huse_tf.data.images.reading import Root
from huse_tf.data.table.columns import Columns
from huse_tf.sections import DataConfig


@dataclasses.dataclass(frozen=True)
class Item:
    """One usable image with its product's text and classes, or a text alone.

    Attributes:
        file, row: where it stands, as in `Record`.
        item_id: no two items have the same one. The item column's, else the image's path, else
            the product; with #2, #3 ... from the second on of equal ones.
        product_id: the product; without such a column, its folded title and class.
        image: the image's path as the table has it; "" where it has none, or the image itself.
        image_path: absolute path of the image, links followed; "" if the item has none.
        image_digest: sha256 hex digest of the bytes at that path; "" if the item has none.
        image_hash: perceptual hash, 16 hex digits; "" if the image shows next to nothing, or the
            item has none.
        title: the first text column that is not empty; "" if the item has no text.
        text: all text columns, joined (`data.table.text.join_columns`); "" if the item has no text.
        text_fields: one text per text column, "" where it is empty.
        class_paths: names from the top of the class tree down to the class; one path, or several
            different ones where items may have several labels.
        weight: of the item in training, above 0.
        attributes: one text per attribute column.
        split_cell: what the split column has; "" without one.
    """

    file: str
    row: int
    item_id: str
    product_id: str
    image: str
    image_path: str
    image_digest: str
    image_hash: str
    title: str
    text: str
    text_fields: tuple[str, ...]
    class_paths: tuple[ClassPath, ...]
    weight: float
    attributes: tuple[str, ...]
    split_cell: str


@dataclasses.dataclass(frozen=True)
class Rejection:
    """A row, or one of its images, that cannot be used.

    Attributes:
        file, row: as in `Item`.
        product_id, image: as the table has them; empty where the row's fields cannot be told apart.
        column: the column at fault; empty where it is the row as a whole.
        reason: what is wrong; the part before ": " is the same for all rows with that fault.
    """

    file: str
    row: int
    product_id: str
    image: str
    column: str
    reason: str

    @classmethod
    def of(cls, item: Item, column: str, reason: str) -> Rejection:
        """What was to be an item, rejected."""
        return cls(item.file, item.row, item.product_id, item.image, column, reason)


@dataclasses.dataclass(frozen=True)
class Draft:
    """An item whose image was not looked at yet.

    Attributes:
        item: without path, digest and hash of the image.
        column: where the image is named; "" if there is none.
        source: a path that the root resolved, or the image's bytes; None if there is none.
    """

    item: Item
    column: str
    source: str | bytes | None


@dataclasses.dataclass(frozen=True)
class Rules:
    """What it takes to understand a record; can be sent to other processes.

    Attributes:
        config: the settings.
        columns: which column is what.
        root: where the paths of images start.
        tree: the class tree that class names are looked up in; None: class cells are whole paths.
    """

    config: DataConfig
    columns: Columns
    root: Root
    tree: ClassTree | None = None
