"""Values that two splits must not share, the groups of items that share them, and a check of splits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from huse_tf import keys
from huse_tf.data.images.near_duplicates import near_groups
from huse_tf.data.table.codes import Cells, codes_of, pick
from huse_tf.data.table.text import fold

_MAX_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class Leak:
    """Values of one kind that occur in more than one split.

    Attributes:
        kind: "product", "group", "title", "image" or "near-duplicate image".
        count: number of products (titles, …) that occur in more than one split.
        items: number of items outside the training split that share one with a training item.
        examples: up to three of the values, a sentence each.
    """

    kind: str
    count: int
    items: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.count} × the same {self.kind} in several splits; {self.items} items outside "
            f"training share it with training. {self.examples[0]}"
        )


def shared_codes(items: Cells, near_duplicate_bits: int) -> dict[str, np.ndarray]:
    """The values that items can share, as integer codes by kind (see `Leak.kind`).

    Args:
        items: table with the columns product_id, group_cell, title, image_digest and image_hash. "" is
            missing.
        near_duplicate_bits: see `near_duplicates.near_groups`; -1 leaves that kind out.

    Returns:
        Kind -> [items] int codes: equal for items that share the value, -1 for a missing value.
    """
    codes = {
        "product": codes_of(items["product_id"]),
        "group": codes_of(items["group_cell"]),
        "title": codes_of(map(fold, items["title"])),
        "image": codes_of(items["image_digest"]),
    }
    if near_duplicate_bits >= 0:
        near = near_groups(items["image_hash"], near_duplicate_bits)
        codes["near-duplicate image"] = near
    return codes


def connected_groups(codes: dict[str, np.ndarray]) -> np.ndarray:
    """[items] group of each item, from 0: the connected components of "two items share a value"."""
    groups = np.arange(len(next(iter(codes.values()))))
    for each in codes.values():
        # One graph per kind, without values that only one item has: graphs take the most memory here.
        shared = (each >= 0) & (np.bincount(each + 1)[each + 1] > 1)
        count = int(groups.max(initial=-1)) + 1
        nodes = count + int(each.max(initial=-1)) + 1
        ends = (groups[shared], each[shared] + count)
        graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(nodes, nodes))
        groups = connected_components(graph, directed=False)[1][groups]
    return groups


def leaks(items: Cells, splits: np.ndarray, near_duplicate_bits: int) -> list[Leak]:
    """Finds values that occur in more than one split, one `Leak` per kind; [] if there are none.

    The test split and the unseen classes may share values: neither is used to train or to tune.

    Args:
        items: table with the columns product_id, group_cell, title, image_digest and image_hash.
        splits: [items] the split of each item.
        near_duplicate_bits: see `near_duplicates.near_groups`; -1 leaves near-duplicates out.
    """
    train = splits == keys.TRAIN
    measured = np.where(train, 0, np.where(splits == keys.VALIDATION, 1, 2)).astype(np.int8)
    found = []
    for kind, codes in shared_codes(items, near_duplicate_bits).items():
        pairs = pd.DataFrame({"code": codes, "split": measured})[codes >= 0].drop_duplicates()
        shared = pairs.loc[pairs["code"].duplicated(), "code"].unique()
        if len(shared):
            trained = pairs.loc[pairs["split"] == 0, "code"]
            outside = np.isin(codes, shared) & ~train & np.isin(codes, trained)
            examples = [
                _example(items, splits, kind, codes == code) for code in shared[:_MAX_EXAMPLES]
            ]
            found.append(Leak(kind, len(shared), int(outside.sum()), tuple(examples)))
    return found


def _example(items: Cells, splits: np.ndarray, kind: str, chosen: np.ndarray) -> str:
    first = [int(chosen.argmax())]
    (title,), (product,) = pick(items["title"], first), pick(items["product_id"], first)
    return (
        f"The same {kind} is in {' and '.join(sorted(set(splits[chosen])))}: that of item "
        f"{title!r}, product {product!r}."
    )
