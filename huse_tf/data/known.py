"""Finds the items of another catalogue that a run was trained or tuned on: metrics must leave them out.

A product is known if one of its items shares the item id, product id, group, title or image with a training
or validation item of the run. Images are compared by their bytes and by their perceptual hash.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.data.catalogue import safe_for_spreadsheets
from huse_tf.data.items import Item
from huse_tf.data.table.codes import codes_of
from huse_tf.data.table.disk import DiskTable
from huse_tf.data.table.text import fold
from huse_tf.errors import UserError

# Column of both tables -> its name in reasons. The first column with an equal value gives the reason.
_TRAITS = {
    "image_digest": "image",
    "image_hash": "near-duplicate image",
    "title": "title",
    "group_cell": "group",
    "product_id": "product id",
    "item_id": "item id",
}
_OTHER_VIEW = "another item of the product"
_CHUNK = 65536  # rows of the run's table that are read at once
_SPLITS = (keys.TRAIN, keys.VALIDATION)


def known_items(table: DiskTable[Item], run_items: pathlib.Path) -> np.ndarray:
    """[items] object: what an item shares with an item of the run ("title", ...); "" for a new item.

    Args:
        table: the items of the other catalogue.
        run_items: `items.csv` of the run.

    Raises:
        UserError: the run's table is missing or cannot be read.
    """
    hashes = _run_hashes(run_items)
    reasons = np.full(len(table), "", object)
    for column, trait in reversed(_TRAITS.items()):
        here = np.concatenate([_hashes(frame, column) for frame in table.frames()])
        reasons[(here != 0) & np.isin(here, hashes[column])] = trait
    products = codes_of(table["product_id"])
    known = np.isin(products, products[reasons != ""])
    reasons[known & (reasons == "")] = _OTHER_VIEW
    return reasons


def _run_hashes(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Column -> hashes of its cells, over the training and validation items of the run."""
    nothing = np.empty(0, np.uint64)
    found = {column: [nothing] for column in _TRAITS}
    for frame in _frames(path):
        frame = frame[frame["split"].isin(_SPLITS)]
        for column, hashes in found.items():
            hashes.append(np.unique(_hashes(frame, column)))
    return {column: np.unique(np.concatenate(hashes)) for column, hashes in found.items()}


def _frames(path: pathlib.Path) -> Iterator[pd.DataFrame]:
    columns = [*_TRAITS, "split"]
    try:
        with pd.read_csv(
            path, usecols=columns, dtype=str, keep_default_na=False, chunksize=_CHUNK
        ) as frames:
            yield from frames
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} cannot be read, so known items cannot be found: {error}. Expected the table "
            "that training wrote. Restore it, or measure all items with --include_known."
        ) from error


def _hashes(frame: pd.DataFrame, column: str) -> np.ndarray:
    """[rows] uint64 hashes of a column's cells, as `items.csv` holds them; 0 for an empty cell."""
    cells: Iterable[str] = safe_for_spreadsheets(frame[[column]].astype(str))[column]
    if column == "title":
        cells = map(fold, cells)
    texts = np.array(list(cells), object)
    if not len(texts):
        return np.empty(0, np.uint64)
    return np.where(texts == "", np.uint64(0), pd.util.hash_array(texts, categorize=False))
