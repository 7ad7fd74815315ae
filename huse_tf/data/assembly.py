"""Labels a catalogue's items with class ids and assigns them to splits."""

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
    """Labelled and split items.

    Attributes:
        table: the items, with three more columns: label (int, the first class id), labels (tuple of
            all class ids) and split (`keys.TRAIN`, ...).
        taxonomy: the classes; a label is an index into them.
        leaks: what two splits share. Only splits that a column gives can share something.
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

    Args:
        items: the table of a `Catalogue`.
        config: how to split: by groups, by time or by a column, and the shares of the splits.

    Raises:
        UserError: fewer than two classes, or the items cannot be split as the settings say.

    Examples:
        >>> import pathlib, tempfile
        >>> import pandas as pd
        >>> from huse_tf.data.catalogue import read_catalogue
        >>> from huse_tf.data.readers.dataframe import from_dataframe
        >>> frame = pd.DataFrame(
        ...     {
        ...         "product_id": [f"p{n}" for n in range(6)],
        ...         "name": ["Oak chair", "Ash chair", "Elm chair", "Lamp A", "Lamp B", "Lamp C"],
        ...         "classes": ["chairs"] * 3 + ["lamps"] * 3,
        ...         "fold": ["train", "dev", "test"] * 2,
        ...     }
        ... )
        >>> config = DataConfig(
        ...     image_columns=(), text_columns=("name",), split_by="column", split_column="fold"
        ... )
        >>> spool_dir = pathlib.Path(tempfile.gettempdir())
        >>> catalogue = read_catalogue(config, spool_dir, from_dataframe(frame))
        >>> assembly = assemble(catalogue.table, config)
        >>> assembly.items["label"].tolist(), assembly.items["split"].tolist()[:3]
        ([0, 0, 0, 1, 1, 1], ['train', 'validation', 'test'])
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
    """The items with the columns label and labels. `labels` keeps the order of the class cells.

    Raises:
        UserError: a class is not in the taxonomy.
    """
    once: dict[tuple[int, ...], tuple[int, ...]] = {}  # one object for all equal tuples
    each = (tuple(map(taxonomy.label, paths)) for paths in items["class_paths"])
    labels = np.fromiter((once.setdefault(one, one) for one in each), object, len(items))
    return items.assign(label=first_labels(labels), labels=labels)
