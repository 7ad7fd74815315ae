"""Splits: nothing shared between splits, fractions kept, every class trained, newest tested."""

import collections
import itertools

import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.data.splits import assign
from huse_tf.data.splits.assign import train_only_labels
from huse_tf.data.splits.leaks import leaks
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

# Labels need not lie close; nothing is held out here, so that no class's name is asked for.
TAXONOMY = Taxonomy((("any",),))


def table(rows, **columns):
    """Items of (product, title, image, label); of each other column a list, or one for all."""
    items = pd.DataFrame(rows, columns=["product_id", "title", "image_digest", "label"])
    others = {"group_cell": "", "image_hash": "", "split_cell": "", "file": "shop.csv"}
    items = items.assign(row=range(2, 2 + len(items)), **{**others, **columns})
    if "labels" not in items:
        items["labels"] = [(label,) for label in items["label"]]
    return items


def assign_splits(items, validation, test, seed):
    config = DataConfig(validation_fraction=validation, test_fraction=test, split_seed=seed)
    return assign.assign_splits(items, TAXONOMY, config)


def random_items(generator, count=600, classes=8):
    """Products of 1-5 images, uneven classes, one title in eight and one image in 20 shared."""
    shares = 1 / np.arange(1, classes + 1)
    rows = []
    for product in itertools.count():
        if len(rows) >= count:
            return table(rows)
        title = f"title {generator.integers(20) if generator.random() < 0.125 else 100 + product}"
        label = int(generator.choice(classes, p=shares / shares.sum()))
        for _ in range(generator.integers(1, 6)):
            image = int(generator.integers(5)) if generator.random() < 0.05 else 100 + len(rows)
            rows.append((f"p{product}", title, f"digest {image}", label))


def slow_leaks(items, splits):
    """Pairs of items in different splits that share a value, one by one."""
    rows = items[["product_id", "title", "image_digest"]].to_numpy().tolist()
    return [
        (one, other)
        for one, other in itertools.combinations(range(len(rows)), 2)
        if splits[one] != splits[other]
        and any(value == twin for value, twin in zip(rows[one], rows[other], strict=True))
    ]


def filler(count=40):
    """Items of one class that have nothing in common."""
    return [(f"f{i}", f"filler {i}", f"f{i}", 0) for i in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_no_leak_fractions_and_trained_classes(seed):
    """On 600 items: no leak, each split within 3 % of its share, each class among training items."""
    items = random_items(np.random.default_rng(seed))
    splits = assign_splits(items, 0.15, 0.2, seed)
    assert leaks(items, splits, 0) == [] and slow_leaks(items, splits) == []
    shares = [np.mean(splits == split) for split in (keys.TRAIN, keys.VALIDATION, keys.TEST)]
    np.testing.assert_allclose(shares, [0.65, 0.15, 0.2], atol=0.03)
    assert set(items["label"][splits == keys.TRAIN]) == set(items["label"])


@pytest.mark.parametrize("seed", range(5))
def test_stratified(seed):
    """Four classes of 200 unrelated items, share .15: 30 a class and split, one more or less."""
    items = table([(str(i), str(i), str(i), i % 4) for i in range(800)])
    counts = pd.crosstab(items["label"], assign_splits(items, 0.15, 0.15, seed))
    assert counts[[keys.VALIDATION, keys.TEST]].stack().between(29, 31).all()


@pytest.mark.parametrize("per_class", [2, 3, 4])
def test_small_classes_fill_all_splits_together(per_class):
    """100 classes too small for .15 each: what one cannot give, the next one does."""
    count = 100 * per_class
    items = table([(str(i), str(i), str(i), i % 100) for i in range(count)])
    splits = assign_splits(items, 0.15, 0.15, 0)
    for split in (keys.VALIDATION, keys.TEST):
        np.testing.assert_allclose(np.mean(splits == split), 0.15, atol=0.02)


def test_a_class_with_one_large_group_does_not_strip_the_next():
    """Class 0 is one group of 200 and cannot give 60; class 1 gives its own 30 of 100, and a few."""
    rows = [("big", "big", str(i), 0) for i in range(200)]
    rows += [(str(i), str(i), f"x{i}", 1) for i in range(100)]
    items = table(rows)
    for seed in range(10):
        held_out = assign_splits(items, 0.15, 0.15, seed)[200:] != keys.TRAIN
        assert 28 <= held_out.sum() <= 30 + 2 * 3  # a group has 300 / 101 items on average


@pytest.mark.parametrize("seed", range(3))
def test_a_group_of_several_products_stays_in_one_split(seed):
    """40 products in 10 series; without the series' column they part."""
    series = [f"series {i % 10}" for i in range(40)]
    splits = pd.Series(assign_splits(table(filler(), group_cell=series), 0.2, 0.2, seed))
    assert (splits.groupby(series).nunique() == 1).all() and splits.nunique() == 3
    apart = pd.Series(assign_splits(table(filler(), group_cell=""), 0.2, 0.2, seed))
    assert (apart.groupby(series).nunique() > 1).any()


def test_seed_decides():
    items = random_items(np.random.default_rng(0))
    one = assign_splits(items, 0.15, 0.15, 1)
    np.testing.assert_array_equal(one, assign_splits(items, 0.15, 0.15, 1))
    assert np.mean(one != assign_splits(items, 0.15, 0.15, 2)) > 0.2


def test_index_of_the_frame_does_not_matter():
    items = random_items(np.random.default_rng(0))
    shuffled_index = items.set_index(np.random.default_rng(1).permutation(len(items)))
    splits = assign_splits(items, 0.15, 0.15, 0)
    np.testing.assert_array_equal(splits, assign_splits(shuffled_index, 0.15, 0.15, 0))
    assert leaks(shuffled_index, splits, 0) == []


@pytest.mark.parametrize(
    "chain",
    [
        [("a", "x", "1"), ("a", "y", "2")],  # product
        [("a", "x", "1"), ("b", "x", "2")],  # title
        [("a", "Oak  chair", "1"), ("b", "OAK CHAIR", "2")],  # title, folded
        [("a", "x", "1"), ("b", "y", "1")],  # image
        [("a", "x", "1"), ("b", "x", "2"), ("c", "z", "2")],  # title, then image
        [("a", "x", "1"), ("b", "y", "1"), ("b", "z", "3"), ("c", "z", "4")],  # all three
        [("1", "x", "a"), ("2", "1", "b"), ("3", "a", "2")],  # equal only across columns: apart
    ],
)
def test_what_hangs_together_stays_together(chain):
    """Over 40 seeds a chain is never divided, unless nothing links it (the last one)."""
    items = table([(*row, 0) for row in chain] + filler())
    divided = [
        len(set(assign_splits(items, 0.25, 0.25, seed)[: len(chain)])) > 1 for seed in range(40)
    ]
    linked = chain[0][0] != "1"
    assert any(divided) != linked


@pytest.mark.parametrize("fractions", [(0.15, 0.15), (0.45, 0.45)])
def test_every_class_trains(fractions):
    """Class 1 occurs only beside classes 2 to 21, each of them in a single group with it."""
    rows = filler()
    for other in range(2, 22):
        rows.append((f"a{other}", f"t{other}", f"a{other}", 1))
        rows.append((f"b{other}", f"t{other}", f"b{other}", other))
    items = table(rows)
    for seed in range(10):
        splits = assign_splits(items, *fractions, seed)
        assert set(items["label"][splits == keys.TRAIN]) == set(range(22))


def test_a_class_of_one_group_is_training_only_and_reported():
    items = table([*filler(), ("p", "t", "d", 7), ("p", "t", "e", 7)])
    splits = assign_splits(items, 0.2, 0.2, 0)
    assert set(splits[-2:]) == {keys.TRAIN}
    assert train_only_labels(items, splits) == [7]


def test_a_class_with_validation_items_only_is_not_training_only():
    items = table([("a", "a", "a", 0), ("b", "b", "b", 0)])
    assert train_only_labels(items, np.array([keys.TRAIN, keys.VALIDATION])) == []


def test_a_split_without_a_share_stays_empty():
    items = random_items(np.random.default_rng(0))
    for seed in range(5):
        assert collections.Counter(assign_splits(items, 0.2, 0.0, seed)).keys() == {
            keys.TRAIN,
            keys.VALIDATION,
        }
    assert set(assign_splits(items, 0.0, 0.0, 0)) == {keys.TRAIN}


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.9, 0.3)])
def test_fractions_out_of_range(fractions):
    with pytest.raises(UserError, match="together less than 1"):
        assign_splits(table(filler()), *fractions, 0)


@pytest.mark.parametrize("rows", [filler(2), [("p", f"t{i}", str(i), 0) for i in range(50)]])
def test_too_few_groups(rows):
    """Two groups for three splits; fifty images of one product."""
    with pytest.raises(UserError, match="Too few products"):
        assign_splits(table(rows), 0.15, 0.15, 0)


def fold_splits(items, number, folds=5, seed=0):
    config = DataConfig(validation_fraction=0.16, folds=folds, fold=number, split_seed=seed)
    return assign.assign_splits(items, TAXONOMY, config)


@pytest.mark.parametrize("seed", range(2))
def test_every_item_is_tested_in_at_most_one_fold(seed):
    """And in none only if its class needs it for training; shares are kept, and nothing leaks."""
    items = random_items(np.random.default_rng(seed))
    found = [fold_splits(items, number, seed=seed) for number in range(1, 6)]
    tested = np.sum([splits == keys.TEST for splits in found], axis=0)
    assert tested.max() == 1
    assert tested.mean() > 0.97
    for splits in found:
        assert slow_leaks(items, splits) == []
        shares = collections.Counter(splits)
        # Shared titles and images join hundreds of items to one group.
        assert shares[keys.TEST] / len(items) == pytest.approx(0.2, abs=0.08)
        assert shares[keys.VALIDATION] / len(items) == pytest.approx(0.16, abs=0.08)
        assert set(items["label"][splits == keys.TRAIN]) == set(items["label"])


def test_folds_are_stratified():
    """Twenty products of each of three classes: each of five folds tests four of each."""
    items = table([(f"p{i}", f"t{i}", str(i), i % 3) for i in range(60)])
    for number in range(1, 6):
        labels = items["label"][fold_splits(items, number) == keys.TEST]
        assert sorted(collections.Counter(labels).values()) == [4, 4, 4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1, "fold": 1}, "at least 2"),
        ({"folds": 5, "fold": 6}, "counts from 1"),
        ({"fold": 1}, "at least 2"),
        ({"folds": 5, "fold": 1, "unseen_classes": ("a",)}, "no unseen classes"),
        ({"folds": 5, "fold": 1, "split_by": "time", "split_column": "day"}, "split_by=group"),
        ({"folds": 2, "fold": 1, "validation_fraction": 0.5}, "together less than 1"),
    ],
)
def test_folds_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        assign.assign_splits(table(filler()), TAXONOMY, DataConfig(**settings))


def test_no_items():
    with pytest.raises(UserError, match="no items"):
        assign_splits(table([]), 0.15, 0.15, 0)


def test_missing_things_are_not_shared():
    """Forty items without title, image and hash have nothing in common: splits of 10, 10 and 20."""
    items = table([(f"p{i}", "", "", 0) for i in range(40)])
    splits = assign_splits(items, 0.25, 0.25, 0)
    assert collections.Counter(splits) == {keys.TRAIN: 20, keys.VALIDATION: 10, keys.TEST: 10}


def test_near_images_stay_together_if_asked_to():
    """Each even item's image has a twin one bit away; -1 and 0 divide some, 1 divides none."""
    items = table([(f"p{i}", f"t{i}", f"d{i}", 0) for i in range(80)])
    values = np.random.default_rng(0).integers(0, 2**63, 40).repeat(2) ^ np.tile([0, 1], 40)
    items["image_hash"] = [f"{value:016x}" for value in values]
    divided = {}
    for bits in (-1, 0, 1):
        config = DataConfig(near_duplicate_bits=bits)
        splits = assign.assign_splits(items, TAXONOMY, config)
        divided[bits] = (splits[::2] != splits[1::2]).any()
        assert leaks(items, splits, bits) == []
        assert bool(leaks(items, splits, 1)) == divided[bits]
    assert divided == {-1: True, 0: True, 1: False}


def test_second_labels_train_too():
    """Class 1 is only ever a second label, of 4 of 40 items: at least one of those trains."""
    items = table(filler(), labels=[(0, 1) if i < 4 else (0,) for i in range(40)])
    for seed in range(20):
        splits = assign_splits(items, 0.4, 0.4, seed)
        assert (splits[:4] == keys.TRAIN).any()
        held_out = (splits != keys.TRAIN)[:4].any()
        assert train_only_labels(items, splits) == ([] if held_out else [1])


BY_TIME = DataConfig(
    split_by="time", split_column="day", validation_fraction=0.2, test_fraction=0.3
)


@pytest.mark.parametrize(
    "form",
    [
        lambda day: f"2024-01-{day:02}",
        lambda day: f" 2024-01-{day:02}T23:00:00+01:00",
        lambda day: str(day / 4),
        lambda day: str(1_700_000_000 + day),
    ],
    ids=["date", "zoned", "number", "epoch"],
)
def test_newest_are_tested(form):
    """Ten single items in any order: days 8–10 are tested (.3), 6 and 7 tuned on (.2)."""
    days = np.random.default_rng(0).permutation(10) + 1
    items = table(filler(10)).assign(split_cell=[form(day) for day in days])
    splits = assign.assign_splits(items, TAXONOMY, BY_TIME)
    assert set(days[splits == keys.TEST]) == {8, 9, 10}
    assert set(days[splits == keys.VALIDATION]) == {6, 7}


def test_times_of_several_zones():
    """01:00+02:00 is an hour before 00:00Z although it reads later."""
    rows = filler(10)
    items = table(rows).assign(split_cell=["2024-01-02T00:00Z"] + ["2024-01-02T01:00+02:00"] * 9)
    assert assign.assign_splits(items, TAXONOMY, BY_TIME)[0] == keys.TEST


def test_a_group_is_as_old_as_its_newest_item():
    """Items 0 and 9 are one product: both go with day 10, though item 0 is of day 1."""
    rows = filler(10)
    rows[9] = ("f0", *rows[9][1:])
    splits = assign.assign_splits(
        table(rows).assign(split_cell=[str(day) for day in range(1, 11)]), TAXONOMY, BY_TIME
    )
    train, validation, test = [keys.TRAIN], [keys.VALIDATION], [keys.TEST]
    assert splits.tolist() == test + train * 5 + validation * 2 + test * 2


def test_equally_old_items_go_by_their_order():
    splits = assign.assign_splits(
        table(filler(10)).assign(split_cell="2020"), TAXONOMY, BY_TIME
    ).tolist()
    assert splits == [keys.TRAIN] * 5 + [keys.VALIDATION] * 2 + [keys.TEST] * 3


@pytest.mark.parametrize("cell", ["", "soon", "nan", "inf", "31/12/2024", "7"])
def test_cells_that_are_no_time(cell):
    """A number among dates is no time either: 7 might be anything."""
    items = table(filler(10)).assign(split_cell="2024-01-02")
    items.loc[3, "split_cell"] = cell
    with pytest.raises(UserError, match=rf"1 of 10 .*ISO 8601.*{cell!r} in row 5 of shop.csv"):
        assign.assign_splits(items, TAXONOMY, BY_TIME)


BY_COLUMN = DataConfig(split_by="column", split_column="fold")


def test_given_splits():
    given = ["train", "TRAINING", " val", "valid", "Validation", "dev", "test", "Testing "]
    splits = assign.assign_splits(
        table(filler(8)).assign(split_cell=given), TAXONOMY, BY_COLUMN
    ).tolist()
    assert splits == [keys.TRAIN] * 2 + [keys.VALIDATION] * 4 + [keys.TEST] * 2


def test_given_splits_that_divide_a_group_are_kept():
    rows = [("p", "a", "1", 0), ("p", "b", "2", 1)]
    items = table(rows).assign(split_cell=["train", "test"])
    splits = assign.assign_splits(items, TAXONOMY, BY_COLUMN)
    assert splits.tolist() == [keys.TRAIN, keys.TEST]
    assert [leak.kind for leak in leaks(items, splits, 0)] == ["product"]


@pytest.mark.parametrize("cell", ["", "traning", "seen"])
def test_cells_that_are_no_split(cell):
    items = table(filler(4)).assign(split_cell=["train", "test", cell, cell])
    with pytest.raises(UserError, match=rf"2 of 4 .*dev.*{cell!r} in row 4 of shop.csv"):
        assign.assign_splits(items, TAXONOMY, BY_COLUMN)


def test_a_column_may_name_the_unseen_split_as_prepared_folders_do():
    items = table(filler(4)).assign(split_cell=["train", "test", "unseen", "Unseen"])
    splits = assign.assign_splits(items, TAXONOMY, BY_COLUMN)
    assert splits.tolist() == [keys.TRAIN, keys.TEST, keys.UNSEEN, keys.UNSEEN]


def test_nothing_to_train_on():
    with pytest.raises(UserError, match="No item is left to train on"):
        assign.assign_splits(table(filler(4)).assign(split_cell="test"), TAXONOMY, BY_COLUMN)


@pytest.mark.parametrize(
    "settings", [{"split_by": "time"}, {"split_by": "column"}, {"split_column": "fold"}]
)
def test_column_and_kind_of_split_go_together(settings):
    with pytest.raises(UserError, match="--split_column goes with"):
        assign.assign_splits(table(filler()), TAXONOMY, DataConfig(**settings))
