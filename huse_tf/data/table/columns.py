"""Finds the role of each column of a catalogue, from the settings or by well-known names."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence

from absl import logging

from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

_DELIMITERS = {",": "','", ";": "';'", "\t": "'\\t' (a tab)", "|": "'|'"}
_TEMPLATE = re.compile(r"\{([^{}]*)\}")
# Default name -> other names of such a column. Case, spaces, "_" and "-" are ignored.
_KNOWN_NAMES = {
    "image": "image_path image_file image_name image_filename img img_path picture picture_path "
    "photo photo_path filename file_name file_path path",
    "name": "title product_title product_name product_display_name item_name item_title "
    "display_name caption text",
    "description": "product_description item_description long_description details",
    "classes": "class class_path class_name category category_path category_name categories label "
    "labels product_category product_type taxonomy",
    "product_id": "product sku asin article_id article_number product_code item_group_id",
}


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a catalogue that are read, by their role.

    Attributes:
        images: names of columns, or templates like "images/{id}.jpg"; () without images.
        text: names of columns, the title first; () without texts.
        classes: names of columns; several hold the levels from the top down.
        product, group, item, weight, split: name of the column; None without such a column.
        attributes: names of columns.
        guessed: (setting, column) for each column that was found by a well-known name.
    """

    images: tuple[str, ...]
    text: tuple[str, ...]
    classes: tuple[str, ...]
    product: str | None = None
    group: str | None = None
    item: str | None = None
    weight: str | None = None
    split: str | None = None
    attributes: tuple[str, ...] = ()
    guessed: tuple[tuple[str, str], ...] = ()


def template_fields(image: str) -> list[str]:
    """The columns that a template names; [] for the plain name of a column."""
    return _TEMPLATE.findall(image)


def fill_template(image: str, cells: dict[str, str]) -> str:
    """Replaces each {column} in the template by that column's cell."""
    return _TEMPLATE.sub(lambda field: cells[field[1]], image)


def find_columns(columns: Sequence[str], config: DataConfig) -> Columns:
    """Finds the columns that the settings name.

    If a setting has its default and the catalogue has no such column, a column with a well-known name
    is taken, and logged. One of the default text columns suffices. The default product column may be
    missing.

    Args:
        columns: names of the catalogue's columns.
        config: the settings that name columns.

    Raises:
        UserError: a column is missing, or several columns have a well-known name for one role.
    """
    defaults = DataConfig()
    guessed: list[tuple[str, str]] = []

    def found(setting: str, given: str | tuple[str, ...]) -> tuple[str, ...]:
        names = (given,) if isinstance(given, str) else given
        if given != getattr(defaults, setting):
            return tuple(filter(None, names))
        matches = [(name, _match(columns, name, setting)) for name in names]
        guessed.extend((setting, match) for name, match in matches if match and match != name)
        return tuple(match for _, match in matches if match)

    images, text = (
        found("image_columns", config.image_columns),
        found("text_columns", config.text_columns),
    )
    if not images and not config.image_columns and not text and not config.text_columns:
        raise UserError(
            "--image_columns and --text_columns are both empty. Expected columns with images, "
            "with texts, or both."
        )
    result = Columns(
        images=images or config.image_columns,
        text=text or config.text_columns[:1],
        classes=found("class_columns", config.class_columns) or config.class_columns,
        product=next(iter(found("product_column", config.product_column)), None),
        group=config.group_column or None,
        item=config.item_column or None,
        weight=config.weight_column or None,
        split=config.split_column or None,
        attributes=config.attribute_columns,
        guessed=tuple(guessed),
    )
    _check(result, columns, config)
    for setting, column in guessed:
        logging.info("No --%s given: took the column %r.", setting, column)
    return result


def _match(columns: Sequence[str], default: str, setting: str) -> str | None:
    if default in columns:
        return default
    known = {_plain(name) for name in (default, *_KNOWN_NAMES[default].split())}
    matches = [column for column in columns if _plain(column) in known]
    if len(matches) > 1:
        raise UserError(
            f"Several columns may be what --{setting} means by {default!r}: {', '.join(matches)}. "
            f"Name one with --{setting}."
        )
    return matches[0] if matches else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _check(found: Columns, columns: Sequence[str], config: DataConfig) -> None:
    if not found.classes:
        raise UserError("--class_columns is empty. Expected the names of columns with classes.")
    if len(found.classes) > 1 and config.multi_label:
        raise UserError(
            "--multi_label takes one class column, with whole paths. "
            f"Received: --class_columns={','.join(found.classes)}."
        )
    if config.text_separator and config.text_separator.split() != [config.text_separator]:
        raise UserError(
            "--text_separator has white space. Expected a word or sign without white space, such as "
            f"[SEP]. Received: {config.text_separator!r}."
        )
    images = [name for image in found.images for name in template_fields(image) or [image]]
    single = filter(None, (found.product, found.group, found.item, found.weight, found.split))
    wanted = [*images, *found.text, *found.classes, *single, *found.attributes]
    for name in wanted:
        if name not in columns:
            raise _missing_column(columns, name, wanted, config.catalogue)


def _missing_column(
    columns: Sequence[str], missing: str, wanted: Iterable[str], catalogue: str
) -> UserError:
    """The error for a missing column. Suggests another delimiter if that would give all columns."""
    where = f"The catalogue {catalogue!r}" if catalogue else "The catalogue"
    only = columns[0] if len(columns) == 1 else ""
    for delimiter, shown in _DELIMITERS.items():
        if len(names := {name.strip(' "') for name in only.split(delimiter)}) > 1 and names >= set(
            wanted
        ):
            return UserError(
                f"The columns of {catalogue!r} seem to be separated by {shown}. Set --delimiter. "
                f"Received as one column: {only!r}."
            )
    lowered = {name.lower(): name for name in columns}
    close = difflib.get_close_matches(missing.lower(), lowered, n=1)
    hint = f" Did you mean {lowered[close[0]]!r}?" if close else ""
    return UserError(
        f"{where} has no column {missing!r}. Received columns: {', '.join(columns)}.{hint} Rename "
        "the column, or name it with a flag (--image_columns, --class_columns, --text_columns, "
        "--product_column); --image_columns= or --text_columns= where there are no images or no "
        "texts."
    )
