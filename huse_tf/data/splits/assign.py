"""Assigns items to the training, validation and test splits; groups of related items stay together."""

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
# Names that a split column may use, in any case.
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

    Items are linked if they share the product, the group column's cell, the title (ignoring case and white
    space), the image or a near-duplicate image. A group is a connected component of these links. Groups are not divided:

    * group: random groups, stratified by class. Every class has training items, because a class
      cannot be learned without them. A class with a single group has training items only.
      With `config.fold`, the groups are dealt into `config.folds` equal folds first; that fold is the test
      split, and a validation split is dealt from the others.
    * time: the newest groups are the test split, the groups before them the validation split. A group
      is as old as its newest item. Groups of one age keep the order of the catalogue.
    * column: the splits are taken as given, and may divide groups; `leaks` finds these.

    Items of held-out classes are `keys.UNSEEN`. Items of other classes in their groups are test items,
    in addition to the test share, so that nothing about held-out classes is in the training split. A
    class that loses all its items this way is held out too. With a column, only the held-out items
    change their split.

    Args:
        items: table with the columns product_id, group_cell, title, image_digest, image_hash, labels (all
            class ids of an item; the first one stratifies), split_cell, file and row.
        taxonomy: the classes of the labels.
        config: shares of the items, seed and held-out classes. A split with share 0 stays empty.

    Returns:
        [items] object, texts: `keys.TRAIN`, `keys.VALIDATION`, `keys.TEST` or `keys.UNSEEN`.

    Raises:
        UserError: settings that contradict each other, no items, too few groups to fill each split,
            fewer than two classes to train on, or a cell of the split column that is not a split
            (or not a time).
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
    check_folds(config)
    if _shares(config)[0] <= 0:
        raise UserError(
            "--validation_fraction and --test_fraction (or one fold) are together less than 1. "
            f"Received: {config.validation_fraction} and {_shares(config)[2]}."
        )
    if not len(labels):
        raise UserError("There are no items to split. Expected at least one usable row.")
    if (config.split_by == "group") != (config.split_column == ""):
        raise UserError(
            "--split_column goes with --split_by=time or --split_by=column, and only with them. "
            f"Received: --split_by={config.split_by} --split_column={config.split_column!r}."
        )


def shared_kinds(config: DataConfig) -> str:
    """What items share that stay in one split, for people: "product, title or image"."""
    group = f", {config.group_column}" if config.group_column else ""
    return f"product{group}, title or image"


def check_folds(config: DataConfig) -> None:
    """Raises UserError if the settings of the folds contradict each other or those of the split."""
    if not config.folds and not config.fold:
        return
    if config.folds < 2 or config.fold > config.folds:
        raise UserError(
            "--fold counts from 1 to --folds, and there are at least 2. Received: "
            f"--folds={config.folds} --fold={config.fold}. Change them, or leave both out."
        )
    if config.split_by != "group" or config.unseen_classes or config.unseen_class_fraction:
        raise UserError(
            "--folds deals all items out by groups. Expected --split_by=group and no unseen classes. Received: "
            f"--folds={config.folds} with --split_by={config.split_by}, "
            f"--unseen_classes={','.join(config.unseen_classes)} and "
            f"--unseen_class_fraction={config.unseen_class_fraction}. Leave --folds out, or change these."
        )


def _shares(config: DataConfig) -> np.ndarray:
    """[3] target share of the items of each of `SPLITS`."""
    validation = config.validation_fraction
    test = 1 / config.folds if config.fold else config.test_fraction
    return np.array([1 - validation - test, validation, test])


def _held_out(
    item_labels: np.ndarray, groups: np.ndarray, taxonomy: Taxonomy, config: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    """([items] bool, items of held-out classes; [items] bool, other items in their groups)."""
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
        splits = _stratify(labels, groups, shares, generator, config.fold)[groups]
    for split, share in enumerate(shares):
        if share > 0 and not (splits == split).any():
            raise UserError(
                f"Too few products for a {SPLITS[split]} split of {share:.0%}: the {len(labels)} items "
                f"make {groups.max() + 1} groups without a common {shared_kinds(config)}, in "
                f"{len(np.unique(first_labels(labels)))} classes. Each class needs one group to train on, "
                "and each split needs one group. Add products, or set the fraction to 0."
            )
    return splits


def first_labels(labels: np.ndarray) -> np.ndarray:
    """[items] the first label of each item."""
    return np.fromiter((first for first, *_ in labels), np.int64, len(labels))


def _stratify(
    labels: np.ndarray,
    groups: np.ndarray,
    shares: np.ndarray,
    generator: np.random.Generator,
    fold: int = 0,
) -> np.ndarray:
    """[groups] split of each group, class by class.

    Args:
        labels: [items] all labels of each item.
        groups: [items] group of each item.
        shares: [3] target share of the items of each split.
        generator: draws the order of the classes, and of groups of equal size.
        fold: number of the test split among equal folds, from 1; 0: there are no folds.
    """
    sizes = np.bincount(groups)
    home = np.empty(len(sizes), np.int64)
    # A group with items of several classes is dealt out with one of them.
    home[groups] = np.unique(first_labels(labels), return_inverse=True)[1]
    if fold:
        # The folds do not depend on which of them is tested, so each group is tested once.
        count = round(1 / shares[2])
        tested = _deal(home, sizes, np.full(count, 1 / count), generator) == fold - 1
        splits = np.full(len(sizes), 2)
        rest = shares[:2] / shares[:2].sum()
        splits[~tested] = _deal(home[~tested], sizes[~tested], rest, generator)
    else:
        splits = _deal(home, sizes, shares, generator)
    # A class of few groups may have no training items yet. Its largest group then becomes training.
    rows, owned = _memberships(labels)
    trained = owned[splits[groups[rows]] == 0]
    for label in np.setdiff1d(owned, trained):
        splits[np.bincount(groups[rows[owned == label]]).argmax()] = 0
    return splits


def _deal(
    home: np.ndarray, sizes: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """[groups] number of the part of each group, dealt out class by class.

    Args:
        home: [groups] class of each group.
        sizes: [groups] items of each group.
        shares: [parts] target share of the items of each part.
        generator: as for `_stratify`.
    """
    home = np.unique(home, return_inverse=True)[1]
    splits = np.zeros(len(sizes), np.int64)
    order = generator.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    order = order[np.argsort(home[order], kind="stable")]
    classes = np.split(order, np.flatnonzero(np.diff(home[order])) + 1)
    # Items that a small class cannot give to a split are carried over to the next class, up to one group
    # of average size. A larger carry would strip that class of training items.
    carried, most = np.zeros(len(shares)), sizes.mean()
    for label in generator.permutation(len(classes)):
        members = classes[label]
        lacking = (shares * sizes[members].sum() + carried).tolist()
        for group, size in zip(members.tolist(), sizes[members].tolist(), strict=True):
            split = lacking.index(max(lacking))
            splits[group] = split
            lacking[split] -= size
        carried = np.clip(lacking, -most, most)
    return splits


def _by_time(times: np.ndarray, groups: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """[groups] split of each group: the oldest groups train, the newest groups test.

    Args:
        times: [items] float, later is larger.
        groups: [items] group of each item.
        shares: [3] target share of the items of each split.
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
    """The labels whose items are all in the training split, so that no metric covers them."""
    rows, labels = _memberships(items["labels"])
    return np.setdiff1d(labels, labels[(splits != keys.TRAIN)[rows]]).tolist()


def label_counts(labels: Iterable[tuple[int, ...]], num_classes: int) -> np.ndarray:
    """[num_classes] number of items of each class. An item with several classes counts in each.

    Args:
        labels: [items] all labels of each item.
    """
    return np.bincount(_memberships(labels)[1], minlength=num_classes)
