"""What no two sides of a split may share, the groups that follow from it, and a check of both."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from huse_tf import keys
from huse_tf.data.near_duplicates import near_groups
from huse_tf.data.text import fold

_MAX_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class Leak:
    """Something that several sides have.

    Attributes:
        kind: "product", "title", "picture" or "near-duplicate picture".
        count: number of products (titles, …) that more than one side has.
        items: number of items outside training whose product (title, …) training has too.
        examples: up to three of them, a sentence each.
    """

    kind: str
    count: int
    items: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.count} × the same {self.kind} on several sides; {self.items} items outside "
            f"training share it with training. {self.examples[0]}"
        )


def shared_codes(items: pd.DataFrame, near_duplicate_bits: int) -> dict[str, np.ndarray]:
    """What items can have in common, by kind (see `Leak.kind`).

    Args:
        items: columns product_id, title, image_digest and image_hash. "" is nothing to share.
        near_duplicate_bits: see `near_duplicates.near_groups`; -1 leaves that kind out.

    Returns:
        kind -> [items] int codes, equal where items share it, -1 where an item has none.
    """
    titles, distinct = pd.factorize(items["title"])
    folded = np.array([fold(title) for title in distinct], object)
    codes = {
        "product": _codes(items["product_id"].to_numpy(object)),
        "title": _codes(folded)[titles],
        "picture": _codes(items["image_digest"].to_numpy(object)),
    }
    if near_duplicate_bits >= 0:
        near = near_groups(items["image_hash"].tolist(), near_duplicate_bits)
        codes["near-duplicate picture"] = near
    return codes


def _codes(values: np.ndarray) -> np.ndarray:
    return pd.factorize(pd.Series(values, dtype=object).mask(values == ""))[0]


def connected_groups(codes: dict[str, np.ndarray]) -> np.ndarray:
    """[items] group of each item, from 0: items that share anything, also by way of others."""
    count = nodes = len(next(iter(codes.values())))
    ends: list[np.ndarray] = []
    for each in codes.values():
        given = np.flatnonzero(each >= 0)
        ends.append(np.stack([given, each[given] + nodes]))
        nodes += int(each.max(initial=-1)) + 1
    rows, columns = np.concatenate(ends, axis=1)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(nodes, nodes))
    return connected_components(graph, directed=False)[1][:count]


def leaks(items: pd.DataFrame, sides: np.ndarray, near_duplicate_bits: int) -> list[Leak]:
    """What more than one side has, one finding per kind; empty if all is well.

    The test side and the unseen classes may share: neither is learnt from nor tuned on.

    Args:
        items: as in `shared_codes`.
        sides: [items] the side of each item.
        near_duplicate_bits: as in `shared_codes`.
    """
    measured = np.where(sides == keys.UNSEEN, keys.TEST, sides)
    found = []
    for kind, codes in shared_codes(items, near_duplicate_bits).items():
        pairs = pd.DataFrame({"code": codes, "side": measured})[codes >= 0].drop_duplicates()
        shared = pairs.loc[pairs["code"].duplicated(), "code"].unique()
        if len(shared):
            trained = pairs.loc[pairs["side"] == keys.TRAIN, "code"]
            outside = np.isin(codes, shared) & (measured != keys.TRAIN) & np.isin(codes, trained)
            examples = [
                _example(items, sides, kind, codes == code) for code in shared[:_MAX_EXAMPLES]
            ]
            found.append(Leak(kind, len(shared), int(outside.sum()), tuple(examples)))
    return found


def _example(items: pd.DataFrame, sides: np.ndarray, kind: str, chosen: np.ndarray) -> str:
    item = items.iloc[int(chosen.argmax())]
    return (
        f"The same {kind} is in {' and '.join(sorted(set(sides[chosen])))}: that of item "
        f"{item['title']!r}, product {item['product_id']!r}."
    )
