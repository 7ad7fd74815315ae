"""Turns one record of a catalogue into items without images, or into a rejection."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
from collections.abc import Iterator

from huse_tf.data.class_cells import class_paths, path_names
from huse_tf.data.images.reading import BadImageError
from huse_tf.data.items import Draft, Item, Rejection, Rules
from huse_tf.data.table.cells import RowFault, text, values
from huse_tf.data.table.columns import fill_template, template_fields
from huse_tf.data.table.records import Record
from huse_tf.data.table.text import fold, join_columns

_MAX_SHOWN = 300  # characters of an image's path in the table of rejected rows


@dataclasses.dataclass(frozen=True)
class _Named:
    """An image cell: its column, its text in the table, and the source of the image or an error."""

    column: str
    shown: str
    source: str | bytes | BadImageError


def draft(record: Record, rules: Rules) -> list[Draft | Rejection]:
    """The items of a record before their images are read: one per image, or one without an image.

    Paths of images are resolved, but no image is opened. A missing image or text stays empty in the
    item, unless --missing=reject.

    Args:
        record: one row.
        rules: columns, image root, class tree and settings.

    Returns:
        At least one draft or rejection.
    """
    if record.fault:
        return [Rejection(record.file, record.row, "", "", "", record.fault)]
    product_id = ""
    try:
        if rules.columns.product:
            product_id = text(record, rules.columns.product)
            if not product_id:
                raise RowFault(rules.columns.product, "no product id")
        item = _item(record, product_id, rules)
        named = list(_images(record, rules))
        _check_missing(item, named, rules)
    except RowFault as fault:
        shown = _shown_image(record, rules)
        return [Rejection(record.file, record.row, product_id, shown, fault.column, str(fault))]
    if not item.product_id:
        alone = f"{record.file}:{record.row}"
        item = dataclasses.replace(item, product_id=named[0].shown or alone)
    return [_with_name(item, image) for image in named] or [Draft(item, "", None)]


def _with_name(item: Item, named: _Named) -> Draft | Rejection:
    if isinstance(named.source, BadImageError):
        reason = str(named.source)
        return Rejection(item.file, item.row, item.product_id, named.shown, named.column, reason)
    item_id = item.item_id or named.shown
    return Draft(
        dataclasses.replace(item, item_id=item_id, image=named.shown), named.column, named.source
    )


def _item(record: Record, product_id: str, rules: Rules) -> Item:
    """The item without its image."""
    columns = rules.columns
    fields = tuple(text(record, column) for column in columns.text)
    title = next(filter(None, fields), "")
    paths = class_paths(record, rules)
    if title and not product_id:
        # Without a product column, equal titles of different classes are different products.
        product_id = f"{fold(title)} ({path_names(paths)})"
    return Item(
        file=record.file,
        row=record.row,
        item_id=text(record, columns.item) if columns.item else "",
        product_id=product_id,
        group_cell=text(record, columns.group) if columns.group else "",
        image="",
        image_path="",
        image_digest="",
        image_hash="",
        title=title,
        text=join_columns(fields, rules.config.text_separator),
        text_fields=fields,
        class_paths=paths,
        weight=_weight(record, columns.weight),
        attributes=tuple(text(record, column) for column in columns.attributes),
        split_cell=text(record, columns.split) if columns.split else "",
    )


def _check_missing(item: Item, named: list[_Named], rules: Rules) -> None:
    images, text = rules.columns.images, rules.columns.text
    column = (*text, *images)[0]
    if not item.text and not named:
        raise RowFault(column, "neither image nor text")
    if rules.config.missing == "reject":
        if text and not item.text:
            raise RowFault(text[0], "no text")
        if images and not named:
            raise RowFault(images[0], "no image")


def _images(record: Record, rules: Rules) -> Iterator[_Named]:
    """The images of a row, in the order of columns and cells."""
    for column in rules.columns.images:
        for value in _image_cells(record, column, rules.config.image_separator):
            if value.strip() if isinstance(value, str) else value:
                yield _image(column, value, rules)


def _image_cells(record: Record, column: str, separator: str) -> Iterator[str | bytes]:
    fields = template_fields(column)
    if fields:
        cells = {field: text(record, field) for field in fields}
        if all(cells.values()):
            yield fill_template(column, cells)
        return
    for value in values(record, column):
        if separator and isinstance(value, str):
            yield from map(str.strip, value.split(separator))
        else:
            yield value


def _image(column: str, value: str | bytes, rules: Rules) -> _Named:
    if isinstance(value, bytes):
        return _Named(column, "", value)
    if rules.config.image_cells == "base64" and not template_fields(column):
        return _Named(column, "", _from_base64(value, rules.config.max_image_bytes))
    shown = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…"
    try:
        return _Named(column, shown, rules.root.resolve(value))
    except BadImageError as fault:
        return _Named(column, shown, fault)


def _from_base64(value: str, max_bytes: int) -> bytes | BadImageError:
    """The decoded bytes. White space is ignored; other characters outside base64 are an error."""
    letters = "".join(value.split())
    if len(letters) * 3 // 4 - 2 > max_bytes:  # before memory is spent on decoding
        return BadImageError(
            f"image has too many bytes: {len(letters) * 3 // 4}, more than {max_bytes}"
        )
    try:
        return base64.b64decode(letters, validate=True)
    except (binascii.Error, ValueError) as error:
        return BadImageError(f"image is not base64: {error}")


def _weight(record: Record, column: str | None) -> float:
    if column is None:
        return 1.0
    cell = text(record, column)
    try:
        weight = float(cell)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise RowFault(column, f"weight is not a number above 0: {cell[:_MAX_SHOWN]!r}")
    return weight


def _shown_image(record: Record, rules: Rules) -> str:
    """The text of the row's first image cell, for the table of rejected rows; "" for base64."""
    if rules.config.image_cells == "base64":
        return ""
    cells = [record.cells.get(column) for column in rules.columns.images]
    return next((cell[:_MAX_SHOWN] for cell in cells if isinstance(cell, str)), "")
