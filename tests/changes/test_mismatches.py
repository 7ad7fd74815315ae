"""Mismatched pairs of a batch: who is, with whose image or query, and what stays."""

import numpy as np
import pytest

from huse_tf import keys
from huse_tf.changes.masking import HidePatches, HideWords
from huse_tf.changes.mismatches import Mismatch, MismatchQueries
from huse_tf.data.pipeline import training_batches
from huse_tf.spec import WordPieces

PIECES = WordPieces(start=1, end=2, mask=3, continuations=frozenset())
LINE = np.abs(np.subtract.outer(range(4), range(4))).astype(np.float32)


def make_items(labels, products=None, patches=5):
    """Training items; images whose every feature is the number of their item, from 1."""
    count = len(labels)
    numbers = np.arange(1, count + 1, dtype=np.float32)
    return {
        keys.IMAGE_FEATURES: np.tile(numbers[:, None, None], (1, patches, 2)),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
        keys.TEXT_FEATURES: np.tile(numbers[:, None].astype(np.int32) + 10, (1, 3)),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.LABEL: np.array(labels, np.int32),
        keys.PRODUCT: np.array(range(count) if products is None else products, np.int32),
    }


def with_queries(items, queries):
    """Each item's title is its number from 30; a query is the pieces given."""
    texts = [[1, *query, 2, 30 + item, 2] for item, query in enumerate(queries)]
    items[keys.TEXT_FEATURES] = np.array([text + [0] * (7 - len(text)) for text in texts], np.int32)
    return items


def batch_of(items, rows, made, seed=0):
    rows = np.array(rows)
    batch = {key: value[rows] for key, value in items.items()}
    made(batch, rows, np.random.default_rng(seed))
    return batch


def givers(batch):
    return batch[keys.IMAGE_FEATURES][:, 0, 0].astype(int) - 1


def queries_of(batch):
    return [row[1 : row.index(2)] for row in batch[keys.TEXT_FEATURES].tolist()]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_so_many_are_mismatched_and_said_to_be(share):
    items = make_items([0] * 20)
    rows = [3, 19, 0, 7, 11, 2, 5, 13]
    batch = batch_of(items, rows, Mismatch(share, items, LINE))
    own = givers(batch) == rows
    assert np.sum(~own) == 8 * share
    np.testing.assert_array_equal(batch[keys.MATCH], own.astype(np.float32))
    np.testing.assert_array_equal(
        batch[keys.TEXT_FEATURES], items[keys.TEXT_FEATURES][rows], "texts stay"
    )


def test_images_come_from_the_class_though_no_other_of_it_is_in_the_batch():
    """20 classes of 5 products: in a batch of one a class, each takes from its own all the same."""
    labels = np.arange(100) % 20
    items = make_items(labels)
    before = items[keys.IMAGE_FEATURES].copy()
    made = Mismatch(1.0, items, np.ones((20, 20)) - np.eye(20))
    found = {item: set() for item in range(20)}
    for seed in range(60):
        batch = batch_of(items, range(20), made, seed)
        assert not batch[keys.MATCH].any()
        for item, giver in enumerate(givers(batch)):
            found[item].add(int(giver))
            assert (batch[keys.IMAGE_FEATURES][item] == giver + 1).all(), "whole images"
    assert found == {item: {item + 20, item + 40, item + 60, item + 80} for item in range(20)}
    np.testing.assert_array_equal(items[keys.IMAGE_FEATURES], before, "the catalogue stays")


def test_any_class_may_give():
    items = make_items([0, 0, 1, 1])
    made = Mismatch(1.0, items, None)
    found = {int(givers(batch_of(items, [0], made, seed))[0]) for seed in range(40)}
    assert found == {1, 2, 3}


def test_half_an_item_neither_takes_nor_gives():
    items = make_items([0, 0, 0, 0])
    items[keys.IMAGE_MASK][0] = 0
    items[keys.TEXT_MASK][1], items[keys.TEXT_FEATURES][1] = 0, 0
    for seed in range(10):
        batch = batch_of(items, range(4), Mismatch(1.0, items, LINE), seed)
        assert givers(batch).tolist() == [0, 1, 3, 2]
        assert batch[keys.MATCH].tolist() == [1, 1, 0, 0]


def test_one_product_alone_stays_matched():
    items = make_items([0, 0, 0], products=[5, 5, 5])
    batch = batch_of(items, range(3), Mismatch(1.0, items, LINE))
    assert batch[keys.MATCH].all()
    assert givers(batch).tolist() == [0, 1, 2]


def test_products_of_one_title_are_no_mismatch():
    """Items 0 and 1 have one title, so each takes the image of item 2, and this one theirs."""
    items = make_items([0, 0, 0])
    items[keys.TEXT_FEATURES][1] = items[keys.TEXT_FEATURES][0]
    for seed in range(10):
        found = givers(batch_of(items, range(3), Mismatch(1.0, items, LINE), seed))
        assert found[0] == found[1] == 2 and found[2] in (0, 1)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_so_many_queries_are_mismatched_and_titles_stay_with_their_images(share):
    queries = [[10], [11, 11], [12], [13, 13], [14], [15], [16], [17]]
    items = with_queries(make_items([0] * 8), queries)
    batch = batch_of(items, range(8), MismatchQueries(share, items, LINE, PIECES))
    own = np.array([one == other for one, other in zip(queries_of(batch), queries, strict=True)])
    assert np.sum(~own) == 8 * share
    np.testing.assert_array_equal(batch[keys.MATCH], own.astype(np.float32))
    assert givers(batch).tolist() == list(range(8))
    for item, row in enumerate(batch[keys.TEXT_FEATURES].tolist()):
        query = row[1 : row.index(2)]
        assert query in queries
        assert row == [1, *query, 2, 30 + item, 2] + [0] * (3 - len(query))


@pytest.mark.parametrize("seed", range(10))
def test_queries_come_from_other_products_of_the_class(seed):
    """Items 0 and 1 are of one product; class 1 is alone, 0 is nearer to it than 3. The batch has one."""
    products, labels = [0, 0, 1, 2, 3, 4], [0, 0, 0, 1, 3, 3]
    queries = [[10 + item] for item in range(6)]
    items = with_queries(make_items(labels, products), queries)
    made = MismatchQueries(1.0, items, LINE, PIECES)
    for row, may in ((0, {2}), (1, {2}), (2, {0, 1}), (3, {0, 1, 2}), (4, {5})):
        (query,) = queries_of(batch_of(items, [row], made, seed))
        assert queries.index(query) in may


def test_a_query_that_is_ones_own_is_no_mismatch():
    """Items 0 and 1 have one query, so each takes that of item 2, and this one theirs."""
    items = with_queries(make_items([0, 0, 0]), [[10], [10], [11]])
    for seed in range(10):
        batch = batch_of(items, range(3), MismatchQueries(1.0, items, LINE, PIECES), seed)
        assert queries_of(batch) == [[11], [11], [10]]
    items = with_queries(make_items([0, 0]), [[10], [10]])
    assert batch_of(items, range(2), MismatchQueries(1.0, items, LINE, PIECES))[keys.MATCH].all()


def test_items_without_a_query_or_an_image_take_no_part():
    items = with_queries(make_items([0] * 5), [[], [11], [12], [13], [14]])
    items[keys.IMAGE_MASK][1] = 0
    items[keys.TEXT_MASK][2], items[keys.TEXT_FEATURES][2] = 0, 0
    for seed in range(10):
        batch = batch_of(items, range(5), MismatchQueries(1.0, items, None, PIECES), seed)
        np.testing.assert_array_equal(batch[keys.TEXT_FEATURES][:3], items[keys.TEXT_FEATURES][:3])
        assert batch[keys.TEXT_FEATURES][3:, 1].tolist() == [14, 13]
        assert batch[keys.MATCH].tolist() == [1, 1, 1, 0, 0]
        assert batch[keys.WEIGHT].tolist() == [0, 1, 0, 1, 1], "no query would be known for a match"


def test_a_resumed_epoch_draws_the_same():
    items = make_items([0] * 12)
    made = [Mismatch(0.5, items, LINE), HideWords(0.2, PIECES, 40), HidePatches(0.2)]
    whole, tail = (
        [*training_batches(items, np.arange(12), 3, first, changes=made, seed=(1, 2))]
        for first in (0, 2)
    )
    for ours, theirs in zip(whole[2:], tail, strict=True):
        for key, value in ours.items():
            np.testing.assert_array_equal(value, theirs[key])
    assert len({tuple(givers({k: v.numpy() for k, v in b.items()})) for b in whole}) == 4


def test_mismatched_pairs_are_masked_as_true_ones():
    """Else a mask would tell which is which."""
    items = make_items([0] * 40, patches=10)
    items[keys.TEXT_FEATURES][:, :] = [[1, 4, 2]]
    items[keys.TEXT_FEATURES][::2] = [1, 5, 2]
    batch = batch_of(items, range(40), Mismatch(0.5, items, LINE))
    for made in (HideWords(0.2, PIECES, 10), HidePatches(0.2)):
        made(batch, np.arange(40), np.random.default_rng(0))
    assert {*(batch[keys.TEXT_FEATURES] < 0).sum(axis=1)} == {1}
    assert {*(~batch[keys.IMAGE_FEATURES].any(axis=2)).sum(axis=1)} == {2}
