"""The parts of a catalogue: items, rejections, and the rules that decide between them."""

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
        file, row: location in the catalogue, as in `Record`.
        item_id: unique id: the cell of the item column, else the image's path, else the product id.
            Equal ids get the suffixes #2, #3, ... in the order of the catalogue.
        product_id: the product; without a product column, the folded title and the classes.
        group_cell: cell of the group column; "" without such a column.
        image: the image's path as written in the table; "" for an image in bytes or base64, and for
            an item without an image.
        image_path: absolute path of the image, links resolved; "" if the item has none.
        image_digest: sha256 hex digest of the bytes at that path; "" if the item has none.
        image_hash: perceptual hash, 16 hex digits; "" if the image is nearly blank, or the item has
            none.
        title: the first text column that is not empty; "" if the item has no text.
        text: all text columns, joined (`data.table.text.join_columns`); "" if the item has no text.
        text_fields: one text per text column, "" where it is empty.
        class_paths: names from the top of the class tree down to the class; one path, or with
            --multi_label one or more distinct paths.
        weight: weight of the item in training, above 0.
        attributes: one text per attribute column.
        split_cell: cell of the split column, a split or a time; "" without such a column.
    """

    file: str
    row: int
    item_id: str
    product_id: str
    group_cell: str
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
        file, row: location in the catalogue, as in `Record`.
        product_id, image: as written in the table; "" if the row's fields cannot be parsed.
        column: the column at fault; "" if the row as a whole is.
        reason: the fault. The part before ": " is its kind, equal for all rows with that fault.
    """

    file: str
    row: int
    product_id: str
    image: str
    column: str
    reason: str

    @classmethod
    def of(cls, item: Item, column: str, reason: str) -> Rejection:
        """The rejection of an item."""
        return cls(item.file, item.row, item.product_id, item.image, column, reason)


@dataclasses.dataclass(frozen=True)
class Draft:
    """An item before its image is read.

    Attributes:
        item: the item; path, digest and hash of the image are still "".
        column: the column that holds the image; "" without an image.
        source: path resolved by the image root, or the image's bytes; None without an image.
    """

    item: Item
    column: str
    source: str | bytes | None


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules by which records become items. Can be pickled.

    Attributes:
        config: the settings.
        columns: the catalogue's columns by their role.
        root: the folder that image paths are relative to.
        tree: the tree to look class names up in; None if class cells hold whole paths.
    """

    config: DataConfig
    columns: Columns
    root: Root
    tree: ClassTree | None = None
