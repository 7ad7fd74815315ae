"""Classes held out for zero-shot: named or drawn; training sees neither them nor what hangs on them."""

import collections

import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.data.splits import assign
from huse_tf.data.splits.leaks import leaks
from huse_tf.data.splits.unseen import unseen_labels
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig

TAXONOMY = Taxonomy.from_paths(
    [("home", "chair"), ("home", "lamp"), ("office", "chair"), ("office", "desk")]
)


@pytest.mark.parametrize("name", ["lamp", " lamp ", "home<lamp", "home > lamp", "home>lamp"])
def test_by_name_or_path(name):
    config = DataConfig(unseen_classes=(name,), class_separator=">")
    assert unseen_labels(TAXONOMY, config) == {1}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lmap", "Did you mean 'lamp'"),
        ("chair", "several classes .*home<chair, office<chair.*Give the path"),
        ("home", "Unknown class"),
    ],
)
def test_names_that_are_no_class(name, message):
    with pytest.raises(UserError, match=message):
        unseen_labels(TAXONOMY, DataConfig(unseen_classes=(name,)))


def test_drawn_by_seed_beside_the_named():
    """Of 20 classes .25 are 5, drawn beside the one named; another seed draws others."""
    taxonomy = Taxonomy.from_paths([(f"{i:02}",) for i in range(20)])
    drawn = [
        unseen_labels(
            taxonomy,
            DataConfig(unseen_classes=("07",), unseen_class_fraction=0.25, split_seed=seed),
        )
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(labels) == 6 and 7 in labels for labels in drawn)


def test_two_classes_remain():
    with pytest.raises(UserError, match=r"at least two classes to train on.*3 of 4"):
        unseen_labels(TAXONOMY, DataConfig(unseen_class_fraction=0.75))


def table(rows):
    """Items of (product, title, image, labels)."""
    items = pd.DataFrame(rows, columns=["product_id", "title", "image_digest", "labels"])
    return items.assign(
        label=[labels[0] for labels in items["labels"]],
        group_cell="",
        image_hash="",
        split_cell="",
        file="shop.csv",
        row=0,
    )


def assign_splits(items, config):
    count = max(map(max, items["labels"])) + 1
    return assign.assign_splits(
        items, Taxonomy.from_paths((f"{k:02}",) for k in range(count)), config
    )


def shop(classes=6, each=20):
    return [
        (f"p{k}-{i}", f"t{k}-{i}", f"d{k}-{i}", (k,)) for k in range(classes) for i in range(each)
    ]


def test_no_item_of_a_held_out_class_elsewhere():
    items = table(shop())
    splits = assign_splits(items, DataConfig(unseen_classes=("02",), unseen_class_fraction=0.17))
    held = set(items["label"][splits == keys.UNSEEN])
    assert 2 in held and len(held) == 2
    assert set(splits[items["label"].isin(held)]) == {keys.UNSEEN}
    rest = collections.Counter(splits[~items["label"].isin(held)])
    assert rest == {keys.TRAIN: 56, keys.VALIDATION: 12, keys.TEST: 12}  # 80 items, .15 each


def test_any_label_holds_an_item_out():
    """With several labels, one that is held out is enough, first or not."""
    items = table([*shop(), ("x", "x", "x", (1, 2)), ("y", "y", "y", (2, 1))])
    splits = assign_splits(items, DataConfig(unseen_classes=("02",)))
    assert set(splits[-2:]) == {keys.UNSEEN}


@pytest.mark.parametrize("by", ["group", "time"])
def test_what_hangs_on_a_held_out_class_is_tested(by):
    """The class 1 item shares its title with a held-out one, and its image with a class 0 item."""
    linked = [("x", "t2-0", "x", (1,)), ("y", "y", "x", (0,))]
    items = table(shop() + linked).assign(split_cell="2020" if by == "time" else "")
    column = "day" if by == "time" else ""
    for seed in range(5):
        config = DataConfig(
            unseen_classes=("02",), split_seed=seed, split_by=by, split_column=column
        )
        splits = assign_splits(items, config)
        assert set(splits[-2:]) == {keys.TEST} and leaks(items, splits, 0) == []


def test_a_class_that_would_lose_all_items_is_held_out_too():
    """Class 6 occurs in products of class 2 only, class 7 in titles of class 6 only."""
    linked = [(f"p2-{i}", f"s{i}", f"s{i}", (6,)) for i in range(3)]
    linked += [(f"q{i}", f"s{i}", f"q{i}", (7,)) for i in range(3)]
    items = table(shop() + linked)
    splits = assign_splits(items, DataConfig(unseen_classes=("02",)))
    assert set(items["label"][splits == keys.UNSEEN]) == {2, 6, 7}
    assert leaks(items, splits, 0) == []


def test_too_few_classes_left_for_want_of_items():
    """Classes 1 and 2 share all products with class 0, so only class 3 would be left."""
    rows = [(f"p{i}", f"t{k}-{i}", f"d{k}-{i}", (k,)) for k in range(3) for i in range(5)]
    rows += [(f"r{i}", f"r{i}", f"r{i}", (3,)) for i in range(5)]
    with pytest.raises(UserError, match="at least two classes"):
        assign_splits(table(rows), DataConfig(unseen_classes=("00",)))


def test_given_splits_stay_but_for_the_held_out():
    items = table(shop(3, 2)).assign(split_cell=["train", "test"] * 3)
    config = DataConfig(split_by="column", split_column="fold", unseen_classes=("02",))
    assert assign_splits(items, config).tolist() == [keys.TRAIN, keys.TEST] * 2 + [keys.UNSEEN] * 2


@pytest.mark.parametrize("seed", range(5))
def test_random_shops_do_not_leak(seed):
    """Shared titles and images across classes, some missing, a third of the classes held out."""
    generator = np.random.default_rng(seed)
    rows = []
    for product in range(300):
        label = int(generator.integers(12))
        title = f"t{generator.integers(40)}" if generator.random() < 0.05 else f"own {product}"
        for _ in range(generator.integers(1, 4)):
            shared = generator.random() < 0.03
            digest = f"d{generator.integers(20)}" if shared else f"own {len(rows)}"
            rows.append(
                (f"p{product}", title, digest if generator.random() < 0.9 else "", (label,))
            )
    items = table(rows)
    splits = assign_splits(items, DataConfig(unseen_class_fraction=0.33, split_seed=seed))
    held = set(items["label"][splits == keys.UNSEEN])
    assert not held & set(items["label"][splits != keys.UNSEEN])
    assert leaks(items, splits, 0) == []
    assert set(items["label"]) - held == set(items["label"][splits == keys.TRAIN])
