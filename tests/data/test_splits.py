"""Splits: nothing shared between sides, fractions kept, every class trained."""

import collections
import itertools

import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.data.splits import leaks, split, train_only_labels
from huse_tf.errors import UserError

COLUMNS = ("product_id", "title", "image_digest", "label")


def random_items(generator, count=600, classes=8):
    """Products of 1-5 pictures, uneven classes, one title in eight and one picture in 20 shared."""
    shares = 1 / np.arange(1, classes + 1)
    rows = []
    for product in itertools.count():
        if len(rows) >= count:
            return pd.DataFrame(rows, columns=COLUMNS)
        title = f"title {generator.integers(20) if generator.random() < 0.125 else 100 + product}"
        label = int(generator.choice(classes, p=shares / shares.sum()))
        for _ in range(generator.integers(1, 6)):
            picture = int(generator.integers(5)) if generator.random() < 0.05 else 100 + len(rows)
            rows.append((f"p{product}", title, f"digest {picture}", label))


def slow_leaks(items, sides):
    """Pairs of items on different sides that share a value, one by one."""
    rows = items[["product_id", "title", "image_digest"]].to_numpy().tolist()
    return [
        (one, other)
        for one, other in itertools.combinations(range(len(rows)), 2)
        if sides[one] != sides[other]
        and any(value == twin for value, twin in zip(rows[one], rows[other], strict=True))
    ]


def filler(count=40):
    """Items of one class that have nothing in common."""
    return [(f"f{i}", f"filler {i}", f"f{i}", 0) for i in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_no_leak_fractions_and_trained_classes(seed):
    """On 600 items: no leak, each side within 3 % of its share, each class among training items."""
    items = random_items(np.random.default_rng(seed))
    sides = split(items, 0.15, 0.2, seed)
    assert leaks(items, sides) == [] and slow_leaks(items, sides) == []
    shares = [np.mean(sides == side) for side in (keys.TRAIN, keys.VALIDATION, keys.TEST)]
    np.testing.assert_allclose(shares, [0.65, 0.15, 0.2], atol=0.03)
    assert set(items["label"][sides == keys.TRAIN]) == set(items["label"])


@pytest.mark.parametrize("seed", range(5))
def test_stratified(seed):
    """Four classes of 200 unrelated items, share .15: 30 a class and side, one more or less."""
    items = pd.DataFrame([(str(i), str(i), str(i), i % 4) for i in range(800)], columns=COLUMNS)
    counts = pd.crosstab(items["label"], split(items, 0.15, 0.15, seed))
    assert counts[[keys.VALIDATION, keys.TEST]].stack().between(29, 31).all()


@pytest.mark.parametrize("per_class", [2, 3, 4])
def test_small_classes_fill_all_sides_together(per_class):
    """100 classes too small for .15 each: what one cannot give, the next one does."""
    count = 100 * per_class
    items = pd.DataFrame([(str(i), str(i), str(i), i % 100) for i in range(count)], columns=COLUMNS)
    sides = split(items, 0.15, 0.15, 0)
    for side in (keys.VALIDATION, keys.TEST):
        np.testing.assert_allclose(np.mean(sides == side), 0.15, atol=0.02)


def test_a_class_with_one_large_group_does_not_strip_the_next():
    """Class 0 is one group of 200 and cannot give 60; class 1 gives its own 30 of 100, and a few."""
    rows = [("big", "big", str(i), 0) for i in range(200)]
    rows += [(str(i), str(i), f"x{i}", 1) for i in range(100)]
    items = pd.DataFrame(rows, columns=COLUMNS)
    for seed in range(10):
        held_out = split(items, 0.15, 0.15, seed)[200:] != keys.TRAIN
        assert 28 <= held_out.sum() <= 30 + 2 * 3  # a group has 300 / 101 items on average


def test_seed_decides():
    items = random_items(np.random.default_rng(0))
    one = split(items, 0.15, 0.15, 1)
    np.testing.assert_array_equal(one, split(items, 0.15, 0.15, 1))
    assert np.mean(one != split(items, 0.15, 0.15, 2)) > 0.2


def test_index_of_the_frame_does_not_matter():
    items = random_items(np.random.default_rng(0))
    shuffled_index = items.set_index(np.random.default_rng(1).permutation(len(items)))
    sides = split(items, 0.15, 0.15, 0)
    np.testing.assert_array_equal(sides, split(shuffled_index, 0.15, 0.15, 0))
    assert leaks(shuffled_index, sides) == []


@pytest.mark.parametrize(
    "chain",
    [
        [("a", "x", "1"), ("a", "y", "2")],  # product
        [("a", "x", "1"), ("b", "x", "2")],  # title
        [("a", "Oak  chair", "1"), ("b", "OAK CHAIR", "2")],  # title, folded
        [("a", "x", "1"), ("b", "y", "1")],  # picture
        [("a", "x", "1"), ("b", "x", "2"), ("c", "z", "2")],  # title, then picture
        [("a", "x", "1"), ("b", "y", "1"), ("b", "z", "3"), ("c", "z", "4")],  # all three
        [("1", "x", "a"), ("2", "1", "b"), ("3", "a", "2")],  # equal only across columns: apart
    ],
)
def test_what_hangs_together_stays_together(chain):
    """Over 40 seeds a chain is never divided, unless nothing links it (the last one)."""
    items = pd.DataFrame([(*row, 0) for row in chain] + filler(), columns=COLUMNS)
    divided = [len(set(split(items, 0.25, 0.25, seed)[: len(chain)])) > 1 for seed in range(40)]
    linked = chain[0][0] != "1"
    assert any(divided) != linked


@pytest.mark.parametrize(
    ("column", "name"),
    [("product_id", "product"), ("title", "title"), ("image_digest", "picture")],
)
def test_leaks_are_told(column, name):
    items = pd.DataFrame(filler(4), columns=COLUMNS)
    sides = np.array([keys.TRAIN, keys.TEST, keys.TRAIN, keys.VALIDATION])
    assert leaks(items, sides) == []
    items.loc[1, column] = items.loc[2, column]
    (found,) = leaks(items, sides)
    assert f"The same {name} is in test and train" in found
    assert repr(items.loc[1, "title"]) in found and repr(items.loc[1, "product_id"]) in found


def test_leaking_titles_differ_in_case_and_space():
    items = pd.DataFrame(filler(2), columns=COLUMNS).assign(title=["Oak chair", " OAK  Chair"])
    assert len(leaks(items, np.array([keys.TRAIN, keys.TEST]))) == 1


@pytest.mark.parametrize("fractions", [(0.15, 0.15), (0.45, 0.45)])
def test_every_class_trains(fractions):
    """Class 1 occurs only beside classes 2 to 21, each of them in a single group with it."""
    rows = filler()
    for other in range(2, 22):
        rows.append((f"a{other}", f"t{other}", f"a{other}", 1))
        rows.append((f"b{other}", f"t{other}", f"b{other}", other))
    items = pd.DataFrame(rows, columns=COLUMNS)
    for seed in range(10):
        sides = split(items, *fractions, seed)
        assert set(items["label"][sides == keys.TRAIN]) == set(range(22))


def test_a_class_of_one_group_is_training_only_and_reported():
    items = pd.DataFrame([*filler(), ("p", "t", "d", 7), ("p", "t", "e", 7)], columns=COLUMNS)
    sides = split(items, 0.2, 0.2, 0)
    assert set(sides[-2:]) == {keys.TRAIN}
    assert train_only_labels(items, sides) == [7]


def test_a_class_with_validation_items_only_is_not_training_only():
    items = pd.DataFrame([("a", "a", "a", 0), ("b", "b", "b", 0)], columns=COLUMNS)
    assert train_only_labels(items, np.array([keys.TRAIN, keys.VALIDATION])) == []


def test_a_side_without_a_share_stays_empty():
    items = random_items(np.random.default_rng(0))
    for seed in range(5):
        assert collections.Counter(split(items, 0.2, 0.0, seed)).keys() == {
            keys.TRAIN,
            keys.VALIDATION,
        }
    assert set(split(items, 0.0, 0.0, 0)) == {keys.TRAIN}


@pytest.mark.parametrize("fractions", [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (float("nan"), 0.1)])
def test_fractions_out_of_range(fractions):
    with pytest.raises(UserError, match="together less than 1"):
        split(pd.DataFrame(filler(), columns=COLUMNS), *fractions, 0)


@pytest.mark.parametrize("rows", [filler(2), [("p", f"t{i}", str(i), 0) for i in range(50)]])
def test_too_few_groups(rows):
    """Two groups for three sides; fifty pictures of one product."""
    with pytest.raises(UserError, match="Too few products"):
        split(pd.DataFrame(rows, columns=COLUMNS), 0.15, 0.15, 0)


def test_no_items():
    with pytest.raises(UserError, match="no items"):
        split(pd.DataFrame(columns=COLUMNS), 0.15, 0.15, 0)
