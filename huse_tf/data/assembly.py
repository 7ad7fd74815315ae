"""From a catalogue's usable rows to labelled items, each in its split."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from huse_tf.data.classes.taxonomy import Taxonomy, path_name
from huse_tf.data.items import Item
from huse_tf.data.splits.assign import assign_splits, first_labels
from huse_tf.data.splits.leaks import Leak, leaks
from huse_tf.data.table.disk import DiskTable
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig


@dataclasses.dataclass(frozen=True, eq=False)
class Assembly:
    """Items as training meets them.

    Attributes:
        table: the items, and beside them label (int, the first class id), labels (tuple of all
            class ids) and split (a name from keys.py).
        taxonomy: the classes; a label is an index into them.
        leaks: what splits share in spite of all; only splits that a column gives can leak.
    """

    table: DiskTable[Item]
    taxonomy: Taxonomy
    leaks: list[Leak]

    @property
    def items(self) -> pd.DataFrame:
        """The whole table, read into memory."""
        return self.table.frame()


def assemble(items: DiskTable[Item], config: DataConfig) -> Assembly:
    """Labels and splits the items of a catalogue.

    Raises:
        UserError: fewer than two classes, or the split that the settings ask for cannot be had.
    """
    taxonomy = Taxonomy.from_paths(path for paths in items["class_paths"] for path in paths)
    if len(taxonomy.classes) < 2:
        raise UserError(
            f"The catalogue has one class only, {path_name(taxonomy.classes[0])!r}; there is "
            "nothing to tell apart. Expected at least two classes."
        )
    items = labelled(items, taxonomy)
    splits = assign_splits(items, taxonomy, config)
    found = leaks(items, splits, config.near_duplicate_bits)
    if found and config.split_by != "column":
        raise RuntimeError(f"The split leaks; this is a defect of huse_tf. {found[0]}")
    return Assembly(items.assign(split=splits), taxonomy, found)


def labelled(items: DiskTable[Item], taxonomy: Taxonomy) -> DiskTable[Item]:
    """The items with their label and labels, in the order in which the catalogue names them."""
    once: dict[tuple[int, ...], tuple[int, ...]] = {}  # equal tuples are one object in memory
    each = (tuple(map(taxonomy.label, paths)) for paths in items["class_paths"])
    labels = np.fromiter((once.setdefault(one, one) for one in each), object, len(items))
    return items.assign(label=first_labels(labels), labels=labels)
