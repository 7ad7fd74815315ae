"""Which items train, which tune and which are only measured; groups of like items stay together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.data.splits.leaks import connected_groups, shared_codes
from huse_tf.data.splits.unseen import check_two_seen, unseen_labels
from huse_tf.data.table.codes import Cells, pick
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

SPLITS = (keys.TRAIN, keys.VALIDATION, keys.TEST)
# What a split column may call the splits, whatever the case.
_NAMES = {
    "train": keys.TRAIN,
    "training": keys.TRAIN,
    "validation": keys.VALIDATION,
    "valid": keys.VALIDATION,
    "val": keys.VALIDATION,
    "dev": keys.VALIDATION,
    "test": keys.TEST,
    "testing": keys.TEST,
    "unseen": keys.UNSEEN,
}


def assign_splits(items: Cells, taxonomy: Taxonomy, config: DataConfig) -> np.ndarray:
    """The split of each item, by `config.split_by`.

    Items of equal product, equal title (case and white space set aside), equal image or near
    images hang together, also by way of others, and such a group stays in one split:

    * group: random groups, with each class in every split where it can be. Each class has training
      items, as an unseen class cannot be learnt; a class of a single group has no others.
    * time: the newest groups are tested on, those before them tuned on. A group is as old as its
      newest item. Of equally old groups those that come first in the catalogue train.
    * column: the splits are taken as given; `leaks` tells where they divide a group.

    Items of a class that is held out are `keys.UNSEEN`. Items of other classes that hang together
    with them are test items, beside the test share, so that training sees nothing of the held-out
    classes; a class that would lose all its items so is held out too. A given column stays.

    Args:
        items: columns product_id, title, image_digest, image_hash, labels (all class ids of the
            item; the first one stratifies), split_cell, file and row.
        taxonomy: the classes of the labels.
        config: shares of the items, seed and what to hold out. A split with share 0 stays empty.

    Returns:
        [items] object, texts: `keys.TRAIN`, `keys.VALIDATION`, `keys.TEST` or `keys.UNSEEN`.

    Raises:
        UserError: settings that contradict each other, no items, too few groups to fill each split,
            fewer than two classes to train on, or a cell of the split column that is no split (or
            no time).
    """
    labels = np.asarray(items["labels"], object)
    _check(labels, config)
    groups = connected_groups(shared_codes(items, config.near_duplicate_bits))
    unseen, neighbours = _held_out(labels, groups, taxonomy, config)
    if config.split_by == "column":
        splits = _given_splits(items)
    else:
        rest = ~(unseen | neighbours)
        kept = np.unique(groups[rest], return_inverse=True)[1]
        times = _times(items, rest) if config.split_by == "time" else None
        splits = np.full(len(labels), keys.TEST, object)
        splits[rest] = np.array(SPLITS, object)[_choose(labels[rest], times, kept, config)]
    splits[unseen] = keys.UNSEEN
    if not (splits == keys.TRAIN).any():
        raise UserError("No item is left to train on. Expected some with split 'train'.")
    return splits


def _check(labels: np.ndarray, config: DataConfig) -> None:
    if config.validation_fraction + config.test_fraction >= 1:
        raise UserError(
            "--validation_fraction and --test_fraction are together less than 1. "
            f"Received: {config.validation_fraction} and {config.test_fraction}."
        )
    if not len(labels):
        raise UserError("There are no items to split. Expected at least one usable row.")
    if (config.split_by == "group") != (config.split_column == ""):
        raise UserError(
            "--split_column goes with --split_by=time or --split_by=column, and only with them. "
            f"Received: --split_by={config.split_by} --split_column={config.split_column!r}."
        )


def _shares(config: DataConfig) -> np.ndarray:
    """[3] share of the items that each of `SPLITS` should get."""
    validation, test = config.validation_fraction, config.test_fraction
    return np.array([1 - validation - test, validation, test])


def _held_out(
    item_labels: np.ndarray, groups: np.ndarray, taxonomy: Taxonomy, config: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    """[items] bool: which items have a held-out class, and which others hang together with them."""
    nothing = np.zeros(len(item_labels), bool)
    if not (config.unseen_classes or config.unseen_class_fraction):
        return nothing, nothing
    held = np.zeros(len(taxonomy.classes), bool)
    held[list(unseen_labels(taxonomy, config))] = True
    rows, labels = _memberships(item_labels)
    while True:
        unseen = nothing.copy()
        unseen[rows[held[labels]]] = True
        neighbours = np.isin(groups, groups[unseen]) & ~unseen
        free = np.zeros_like(held)
        free[labels[~(unseen | neighbours)[rows]]] = True
        if (free | held).all():
            check_two_seen(int(free.sum()), int(held.sum()))
            return unseen, neighbours
        held |= ~free


def _memberships(labels: Iterable[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """(place of the item, label), one entry for each label of each item."""
    counts = np.fromiter(map(len, labels), np.int64)
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.fromiter(itertools.chain.from_iterable(labels), np.int64, len(rows))


def _choose(
    labels: np.ndarray, times: np.ndarray | None, groups: np.ndarray, config: DataConfig
) -> np.ndarray:
    """[items] index into `SPLITS`; the items' groups are numbered from 0 without gaps."""
    shares = _shares(config)
    if times is not None:
        splits = _by_time(times, groups, shares)[groups]
    else:
        generator = np.random.default_rng(config.split_seed)
        splits = _stratify(labels, groups, shares, generator)[groups]
    for split, share in enumerate(shares):
        if share > 0 and not (splits == split).any():
            raise UserError(
                f"Too few products for a {SPLITS[split]} split of {share:.0%}: the {len(labels)} items "
                f"make {groups.max() + 1} groups without a common product, title or image, in "
                f"{len(np.unique(first_labels(labels)))} classes. Each class trains on one group at least, "
                "and each split needs one. Add products, or set the fraction to 0."
            )
    return splits


def first_labels(labels: np.ndarray) -> np.ndarray:
    """[items] the first label of each item."""
    return np.fromiter((first for first, *_ in labels), np.int64, len(labels))


def _stratify(
    labels: np.ndarray, groups: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """[groups] split of each group, class by class.

    Args:
        labels: [items] all labels of each item.
        groups: [items] group of each item.
        shares: [3] share of the items that each split should get.
        generator: draws the order of the classes, and of groups of equal size.
    """
    sizes = np.bincount(groups)
    home = np.empty(len(sizes), np.int64)
    # A group with items of several classes is dealt out with one of them.
    home[groups] = np.unique(first_labels(labels), return_inverse=True)[1]
    splits = np.zeros(len(sizes), np.int64)
    order = generator.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    order = order[np.argsort(home[order], kind="stable")]
    classes = np.split(order, np.flatnonzero(np.diff(home[order])) + 1)
    # What small classes cannot give to a split is carried over to the next class, up to one group
    # of usual size; more would strip that class for the oddities of another.
    carried, most = np.zeros(3), sizes.mean()
    for label in generator.permutation(len(classes)):
        members = classes[label]
        lacking = (shares * sizes[members].sum() + carried).tolist()
        for group, size in zip(members.tolist(), sizes[members].tolist(), strict=True):
            split = lacking.index(max(lacking))
            splits[group] = split
            lacking[split] -= size
        carried = np.clip(lacking, -most, most)
    # A class of few groups may have got no training items; then the group with most of them trains.
    rows, owned = _memberships(labels)
    trained = owned[splits[groups[rows]] == 0]
    for label in np.setdiff1d(owned, trained):
        splits[np.bincount(groups[rows[owned == label]]).argmax()] = 0
    return splits


def _by_time(times: np.ndarray, groups: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """[groups] split of each group: the oldest train, the newest are tested on.

    Args:
        times: [items] float, later is larger.
        groups: [items] group of each item.
        shares: [3] share of the items that each split should get.
    """
    newest = np.full(groups.max() + 1, -np.inf)
    np.maximum.at(newest, groups, times)
    first = np.full(len(newest), len(groups))
    np.minimum.at(first, groups, np.arange(len(groups)))
    order = np.lexsort((first, newest))
    sizes = np.bincount(groups)[order]
    middles = np.cumsum(sizes) - sizes / 2  # a group lies in the split that holds its middle
    borders = np.cumsum(shares)[:2] * len(groups)
    splits = np.empty(len(newest), np.int64)
    splits[order] = np.searchsorted(borders, middles, side="left")
    return splits


def _times(items: Cells, chosen: np.ndarray) -> np.ndarray:
    """[chosen] float64 times of the split column: all of them numbers, or all ISO 8601 dates."""
    cells = pd.Series(map(str.strip, itertools.compress(items["split_cell"], chosen)), dtype="str")
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers).all():
        return numbers
    dates = pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=True)
    wrong = dates.isna().to_numpy()
    if wrong.any():
        raise _bad_cell(
            items,
            np.flatnonzero(chosen)[wrong],
            len(cells),
            "a time as in ISO 8601 (2024-05-31) or, in all rows, a number",
        )
    return dates.to_numpy("datetime64[us]").astype(np.float64)


def _given_splits(items: Cells) -> np.ndarray:
    """[items] the splits that the split column gives."""
    names = (_NAMES.get(cell.strip().casefold(), "") for cell in items["split_cell"])
    splits = np.fromiter(names, object)
    wrong = np.flatnonzero(splits == "")
    if len(wrong):
        raise _bad_cell(items, wrong, len(splits), f"one of {', '.join(_NAMES)}")
    return splits


def _bad_cell(items: Cells, wrong: np.ndarray, count: int, expected: str) -> UserError:
    first = [int(wrong[0])]
    cell, row, file = (pick(items[name], first)[0] for name in ("split_cell", "row", "file"))
    return UserError(
        f"The split column cannot be used in {len(wrong)} of {count} items. Expected "
        f"{expected}. Received: {cell!r} in row {row} of {file}."
    )


def train_only_labels(items: Cells, splits: np.ndarray) -> list[int]:
    """The labels of which no item is held out, so that no figure speaks of them."""
    rows, labels = _memberships(items["labels"])
    return np.setdiff1d(labels, labels[(splits != keys.TRAIN)[rows]]).tolist()


def label_counts(labels: Iterable[tuple[int, ...]], num_classes: int) -> np.ndarray:
    """[num_classes] number of items of each class; an item with several classes counts in each.

    Args:
        labels: [items] all labels of each item.
    """
    return np.bincount(_memberships(labels)[1], minlength=num_classes)
