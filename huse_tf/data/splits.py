"""Training, validation and test items that share no product, no title and no picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from huse_tf import keys
from huse_tf.data.text import fold
from huse_tf.errors import UserError

SIDES = (keys.TRAIN, keys.VALIDATION, keys.TEST)


def split(
    items: pd.DataFrame, validation_fraction: float, test_fraction: float, seed: int
) -> np.ndarray:
    """Splits by groups of items that hang together, with each class in every side where it can be.

    Items of equal product, equal title (case and white space set aside) or equal picture hang
    together, also by way of others. Each class has training items, as an unseen class cannot
    be learnt; a class of a single group has no others (`train_only_labels`).

    Args:
        items: columns product_id, title, image_digest and label (class id).
        validation_fraction, test_fraction: shares of the items, together below 1. A side with
            share 0 stays empty.
        seed: another seed gives another split.

    Returns:
        [items] str: `keys.TRAIN`, `keys.VALIDATION` or `keys.TEST`.

    Raises:
        UserError: fractions out of range, no items, or too few groups to fill each side.
    """
    shares = np.array([1 - validation_fraction - test_fraction, validation_fraction, test_fraction])
    if not (shares[0] > 0 and shares.min() >= 0):
        raise UserError(
            "--validation_fraction and --test_fraction are at least 0 and together less than 1. "
            f"Received: {validation_fraction} and {test_fraction}."
        )
    if items.empty:
        raise UserError("There are no items to split. Expected at least one usable row.")
    groups = _groups(items)
    labels = np.unique(items["label"].to_numpy(), return_inverse=True)[1]
    sides = _stratify(groups, labels, shares, np.random.default_rng(seed))[groups]
    for side, share in enumerate(shares):
        if share > 0 and not (sides == side).any():
            raise UserError(
                f"Too few products for a {SIDES[side]} side of {share:.0%}: the {len(items)} items "
                f"make {groups.max() + 1} groups without a common product, title or picture, in "
                f"{labels.max() + 1} classes, each of which trains on one group at least. Add "
                f"products, or set the fraction to 0."
            )
    return np.array(SIDES)[sides]


def _keys(items: pd.DataFrame) -> dict[str, np.ndarray]:
    """What no two sides may share, as one code per item: product, title, picture."""
    columns = {
        "product": items["product_id"],
        "title": items["title"].map(fold),
        "picture": items["image_digest"],
    }
    return {name: pd.factorize(column)[0] for name, column in columns.items()}


def _groups(items: pd.DataFrame) -> np.ndarray:
    """[items] group of each item: the connected components of the graph of items and their keys."""
    count = nodes = len(items)
    ends = []
    for codes in _keys(items).values():
        ends.append(codes + nodes)
        nodes += codes.max() + 1
    edges = np.concatenate(ends), np.tile(np.arange(count), len(ends))
    graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(nodes, nodes))
    return connected_components(graph, directed=False)[1][:count]


def _stratify(
    groups: np.ndarray, labels: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """[groups] side of each group, class by class.

    Args:
        groups, labels: [items] group and class of each item, both numbered from 0 without gaps.
        shares: [3] share of the items that each side should get.
        generator: draws the order of the classes, and of groups of equal size.
    """
    sizes = np.bincount(groups)
    home = np.empty(len(sizes), np.int64)
    home[groups] = labels  # a group with items of several classes is dealt out with one of them
    sides = np.zeros(len(sizes), np.int64)
    order = generator.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    # What small classes cannot give to a side is carried over to the next class, up to one group
    # of usual size; more would strip that class for the oddities of another.
    carried, most = np.zeros(3), sizes.mean()
    for label in generator.permutation(labels.max() + 1):
        members = order[home[order] == label]
        lacking = shares * sizes[members].sum() + carried
        for group in members:
            side = lacking.argmax()
            sides[group] = side
            lacking[side] -= sizes[group]
        carried = np.clip(lacking, -most, most)
    # A class of few groups may have got no training items; then the group with most of them trains.
    for label in set(labels.tolist()) - set(labels[sides[groups] == 0].tolist()):
        sides[np.bincount(groups[labels == label]).argmax()] = 0
    return sides


def train_only_labels(items: pd.DataFrame, sides: np.ndarray) -> list[int]:
    """The labels of which no item is held out, so that no figure speaks of them."""
    labels = items["label"].to_numpy()
    return sorted(set(labels.tolist()) - set(labels[sides != keys.TRAIN].tolist()))


def leaks(items: pd.DataFrame, sides: np.ndarray) -> list[str]:
    """What more than one side has: one sentence per product, title or picture; empty if all is well.

    Args:
        items: columns product_id, title and image_digest.
        sides: [items] the side of each item.
    """
    found = []
    for name, codes in _keys(items).items():
        pairs = pd.DataFrame({"code": codes, "side": sides}).drop_duplicates()
        for code, shared in pairs[pairs.duplicated("code", keep=False)].groupby("code")["side"]:
            example = items.iloc[int((codes == code).argmax())]
            found.append(
                f"The same {name} is in {' and '.join(sorted(shared))}: that of item "
                f"{example['title']!r}, product {example['product_id']!r}."
            )
    return found
