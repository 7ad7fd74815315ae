"""What splits share is found, counted and told; against a comparison of all pairs."""

import itertools

import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.data.splits.leaks import connected_groups, leaks, shared_codes

NAMES = {
    "product": "product_id",
    "title": "title",
    "image": "image_digest",
    "near-duplicate image": "image_hash",
    "group": "group_cell",
}
COLUMNS = list(NAMES.values())
HASHES = ["0123456789abcdef", "fedcba9876543210", "00ff00ff00ff00ff", "0f0f0f0f0f0f0f0f"]


def apart(count=4):
    """Items that have nothing in common."""
    rows = [(f"p{i}", f"title {i}", f"d{i}", HASHES[i], f"g{i}") for i in range(count)]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("kind", NAMES)
def test_each_kind_is_told(kind):
    items = apart()
    splits = np.array([keys.TRAIN, keys.TEST, keys.TRAIN, keys.VALIDATION])
    assert leaks(items, splits, 2) == []
    items.loc[1, NAMES[kind]] = items.loc[2, NAMES[kind]]
    (leak,) = leaks(items, splits, 2)
    assert (leak.kind, leak.count, leak.items) == (kind, 1, 1)
    assert f"The same {kind} is in test and train" in leak.examples[0]
    assert repr(items.loc[1, "title"]) in str(leak) and repr(items.loc[1, "product_id"]) in str(
        leak
    )


def test_near_images_only_as_near_as_asked():
    """…cdef and …cdee differ in one bit, …cdef and …cdec in two."""
    items = apart(2).assign(image_hash=["0123456789abcdef", "0123456789abcdec"])
    splits = np.array([keys.TRAIN, keys.TEST])
    found = {bits: len(leaks(items, splits, bits)) for bits in (-1, 0, 1, 2)}
    assert found == {-1: 0, 0: 0, 1: 0, 2: 1}


def test_titles_are_compared_without_case_and_space():
    items = apart(2).assign(title=["Oak chair", " OAK  Chair"])
    assert len(leaks(items, np.array([keys.TRAIN, keys.TEST]), 0)) == 1


def test_what_is_missing_is_not_shared():
    items = apart(2).assign(group_cell="", title="", image_digest="", image_hash="")
    assert leaks(items, np.array([keys.TRAIN, keys.TEST]), 4) == []


def test_both_measured_splits_may_share():
    """Unseen classes and test may have a product in common; unseen and validation may not."""
    items = apart(2).assign(product_id="p")
    assert leaks(items, np.array([keys.UNSEEN, keys.TEST]), 0) == []
    (leak,) = leaks(items, np.array([keys.UNSEEN, keys.VALIDATION]), 0)
    assert leak.items == 0 and "is in unseen and validation" in leak.examples[0]


def test_counts():
    """Products a (train, test, test) and b (validation, test) are divided, c is not.

    Of the items outside training, those of a, two, have a twin in training.
    """
    items = pd.DataFrame(
        [(p, f"t{i}", f"d{i}", "", "") for i, p in enumerate("aaabbcc")], columns=COLUMNS
    )
    names = {"r": keys.TRAIN, "v": keys.VALIDATION, "t": keys.TEST}
    (leak,) = leaks(items, np.array([names[letter] for letter in "rttvtrr"]), 0)
    assert (leak.count, leak.items, len(leak.examples)) == (2, 2, 2)


def test_three_examples_at_most():
    items = pd.DataFrame(
        [(f"p{i % 9}", f"t{i}", f"d{i}", "", "") for i in range(18)], columns=COLUMNS
    )
    (leak,) = leaks(items, np.array([keys.TRAIN] * 9 + [keys.TEST] * 9), 0)
    assert leak.count == 9 and len(leak.examples) == 3


@pytest.mark.parametrize("seed", range(5))
def test_groups_against_flood_fill(seed):
    """Forty items with few products, titles and images, some of them missing."""
    generator = np.random.default_rng(seed)
    values = [[f"{generator.integers(60)}" for _ in range(3)] for _ in range(40)]
    items = pd.DataFrame(
        [(f"p{a}", "" if b < "2" else b, "" if c < "2" else c, "", "") for a, b, c in values],
        columns=COLUMNS,
    )
    groups = connected_groups(shared_codes(items, -1))
    rows = items[COLUMNS[:3]].to_numpy().tolist()
    slow = list(range(40))
    changed = True
    while changed:
        changed = False
        for one, other in itertools.combinations(range(40), 2):
            linked = any(a and a == b for a, b in zip(rows[one], rows[other], strict=True))
            if linked and slow[one] != slow[other]:
                slow[one] = slow[other] = min(slow[one], slow[other])
                changed = True
    pairs = set(zip(groups.tolist(), slow, strict=True))
    assert len(pairs) == len(set(slow)) == groups.max() + 1
