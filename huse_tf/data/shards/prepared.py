"""What a prepared folder says of an item, and the settings under which it is read again."""

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

# Cells of `item_json` that the catalogue's own columns must not be called.
_ITEM, _PRODUCT, _IMAGE, _CLASSES = "item_id", "product_id", "image", "classes"
_WEIGHT, _SPLIT = "weight", "split"
_RESERVED = (_ITEM, _PRODUCT, _IMAGE, _CLASSES, _WEIGHT, _SPLIT)


def check_names(text_columns: Sequence[str], attribute_columns: Sequence[str]) -> None:
    """Refuses columns that a prepared folder could not tell from its own.

    Raises:
        UserError: naming the first of them.
    """
    names = [*text_columns, *attribute_columns]
    for name in names:
        if name in _RESERVED or names.count(name) > 1:
            raise UserError(
                f"A prepared folder has its own columns {', '.join(_RESERVED)}, and takes each text "
                f"and attribute column once. Received: {name!r} among --text_columns and "
                "--attribute_columns. Rename the column."
            )


def item_json(item: Any, text_columns: Sequence[str], attribute_columns: Sequence[str]) -> str:
    """All cells of an item but its image, as JSON; equal items give equal texts.

    Args:
        item: a row of a frame of `assembly.Assembly.table`, as a named tuple.
        text_columns, attribute_columns: their names in the catalogue.
    """
    cells: dict[str, Any] = {
        _ITEM: item.item_id,
        _PRODUCT: item.product_id,
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
        config: the settings under which the folder was prepared.
        folder: the prepared one.
        text_columns: names of the text columns that the catalogue had.
        images: whether items have images.
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
    """sha256 of all that tells items and their splits from others, whatever folder they came from.

    Args:
        frames: of `assembly.Assembly.table`.
    """
    # Beside what is of this folder: the text is the text columns, however they are joined.
    left_out = ["image_path", "file", "row", "text"]
    digest = hashlib.sha256()
    for frame in frames:
        text = frame.drop(columns=left_out).to_csv(index=False, header=False)
        digest.update(text.encode())
    return digest.hexdigest()
