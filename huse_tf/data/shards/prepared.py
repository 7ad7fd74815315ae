"""The JSON cells of an item in a prepared folder, and the settings that read the folder as a catalogue."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from huse_tf.data.classes.taxonomy import LEVEL_SEPARATOR, path_name
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

# Names of cells of `item_json`, which the catalogue's own columns must not have.
_ITEM, _PRODUCT, _IMAGE, _CLASSES = "item_id", "product_id", "image", "classes"
_GROUP, _WEIGHT, _SPLIT = "group_id", "weight", "split"
_RESERVED = (_ITEM, _PRODUCT, _GROUP, _IMAGE, _CLASSES, _WEIGHT, _SPLIT)


def check_columns(text_columns: Sequence[str], attribute_columns: Sequence[str]) -> None:
    """Refuses text and attribute columns with the name of another column of the prepared folder.

    Raises:
        UserError: names the first such column.
    """
    names = [*text_columns, *attribute_columns]
    for name in names:
        if name in _RESERVED or names.count(name) > 1:
            raise UserError(
                f"A prepared folder has the columns {', '.join(_RESERVED)} of its own, and each text and "
                f"attribute column must have another name. Received: {name!r} among --text_columns and "
                "--attribute_columns. Rename the column."
            )


def item_json(item: Any, text_columns: Sequence[str], attribute_columns: Sequence[str]) -> str:
    """The cells of an item except its image, as JSON. Equal items give equal texts.

    Args:
        item: a row of `assembly.Assembly.table` as a named tuple of pandas.
        text_columns, attribute_columns: names of the columns in the catalogue.
    """
    cells: dict[str, Any] = {
        _ITEM: item.item_id,
        _PRODUCT: item.product_id,
        _GROUP: item.group_cell,
        _CLASSES: [path_name(path) for path in item.class_paths],
        _WEIGHT: item.weight,
        _SPLIT: item.split,
        **dict(zip(text_columns, item.text_fields, strict=True)),
        **dict(zip(attribute_columns, item.attributes, strict=True)),
    }
    return json.dumps(cells, ensure_ascii=False, sort_keys=True)


def reading_settings(
    config: DataConfig, folder: pathlib.Path, text_columns: Sequence[str], images: bool
) -> DataConfig:
    """The settings that read the prepared folder as a catalogue.

    Args:
        config: the settings that the folder was prepared with.
        folder: the prepared folder.
        text_columns: names of the catalogue's text columns.
        images: whether any item has an image.
    """
    return dataclasses.replace(
        config,
        catalogue=str(folder),
        catalogue_format="shards",
        image_root="",
        image_columns=(_IMAGE,) if images else (),
        image_separator="",
        image_cells="path",
        item_column=_ITEM,
        product_column=_PRODUCT,
        group_column=_GROUP if config.group_column else "",
        text_columns=tuple(text_columns),
        class_columns=(_CLASSES,),
        class_separator=LEVEL_SEPARATOR,
        label_separator="",
        weight_column=_WEIGHT,
        taxonomy="",
        split_by="column",
        split_column=_SPLIT,
        unseen_classes=(),
        unseen_class_fraction=0.0,
    )


def content_hash(frames: Iterable[pd.DataFrame]) -> str:
    """sha256 of the items, their labels and their splits, independent of where the catalogue lies.

    Args:
        frames: frames of `assembly.Assembly.table`.
    """
    # The first three depend on the location. "text" repeats "text_fields", joined by any separator. A group
    # acts on the splits alone, which are hashed.
    left_out = ["image_path", "file", "row", "text", "group_cell"]
    digest = hashlib.sha256()
    for frame in frames:
        text = frame.drop(columns=left_out).to_csv(index=False, header=False)
        digest.update(text.encode())
    return digest.hexdigest()
