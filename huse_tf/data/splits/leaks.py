"""What no two splits may share, the groups that follow from it, and a check of both."""

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
    """Something that several splits have.

    Attributes:
        kind: "product", "title", "image" or "near-duplicate image".
        count: number of products (titles, …) that more than one split has.
        items: number of items outside training whose product (title, …) training has too.
        examples: up to three of them, a sentence each.
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
    """What items can have in common, by kind (see `Leak.kind`).

    Args:
        items: columns product_id, title, image_digest and image_hash. "" is nothing to share.
        near_duplicate_bits: see `near_duplicates.near_groups`; -1 leaves that kind out.

    Returns:
        kind -> [items] int codes, equal where items share it, -1 where an item has none.
    """
    codes = {
        "product": codes_of(items["product_id"]),
        "title": codes_of(map(fold, items["title"])),
        "image": codes_of(items["image_digest"]),
    }
    if near_duplicate_bits >= 0:
        near = near_groups(items["image_hash"], near_duplicate_bits)
        codes["near-duplicate image"] = near
    return codes


def connected_groups(codes: dict[str, np.ndarray]) -> np.ndarray:
    """[items] group of each item, from 0: items that share anything, also by way of others."""
    groups = np.arange(len(next(iter(codes.values()))))
    for each in codes.values():
        # The graph takes more memory than all else, so it has the links of one kind at a time, and
        # leaves out what only one item has.
        shared = (each >= 0) & (np.bincount(each + 1)[each + 1] > 1)
        count = int(groups.max(initial=-1)) + 1
        nodes = count + int(each.max(initial=-1)) + 1
        ends = (groups[shared], each[shared] + count)
        graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(nodes, nodes))
        groups = connected_components(graph, directed=False)[1][groups]
    return groups


def leaks(items: Cells, splits: np.ndarray, near_duplicate_bits: int) -> list[Leak]:
    """What more than one split has, one finding per kind; empty if all is well.

    The test split and the unseen classes may share: neither is learnt from nor tuned on.

    Args:
        items: as in `shared_codes`.
        splits: [items] the split of each item.
        near_duplicate_bits: as in `shared_codes`.
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
