"""What is drawn for pairs: who is mismatched with whom, and what is hidden."""

import numpy as np
import pytest

from huse_tf import keys
from huse_tf.methods.base import WordPieces
from huse_tf.training.pair_changes import HidePatches, HideWords, Mismatch, MismatchQueries

PIECES = WordPieces(start=1, end=2, mask=3, continuations=frozenset({8, 9}))


def make_batch(labels, products=None, patches=5):
    """Images whose every feature is the number of their item, from 1."""
    count = len(labels)
    numbers = np.arange(1, count + 1, dtype=np.float32)
    return {
        keys.IMAGE_FEATURES: np.tile(numbers[:, None, None], (1, patches, 2)),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
        keys.TEXT_FEATURES: np.tile(numbers[:, None].astype(np.int32), (1, 3)),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.LABEL: np.array(labels, np.int32),
        keys.PRODUCT: np.array(range(count) if products is None else products, np.int32),
    }


def change(made, batch, seed=0):
    count = len(next(iter(batch.values())))
    made(batch, np.arange(count), np.random.default_rng(seed))
    return batch


def givers(batch):
    return batch[keys.IMAGE_FEATURES][:, 0, 0].astype(int) - 1


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_so_many_are_mismatched_and_said_to_be(share):
    batch = change(Mismatch(share, True), make_batch([0] * 8))
    own = givers(batch) == np.arange(8)
    assert np.sum(~own) == 8 * share
    np.testing.assert_array_equal(batch[keys.MATCH], own.astype(np.float32))


@pytest.mark.parametrize("seed", range(10))
def test_images_come_from_other_products_of_the_class(seed):
    """Products 0 and 1 have two pictures each; item 6 is alone in its class and takes any other."""
    products, labels = [0, 0, 1, 1, 2, 3, 4], [0, 0, 0, 0, 1, 1, 2]
    batch = change(Mismatch(1.0, True), make_batch(labels, products), seed)
    for item, giver in enumerate(givers(batch)):
        assert products[giver] != products[item]
        assert labels[giver] == labels[item] or item == 6
    assert not batch[keys.MATCH].any()


def test_any_class_may_give():
    found = {
        int(givers(change(Mismatch(1.0, False), make_batch([0, 0, 1, 1]), seed))[0])
        for seed in range(40)
    }
    assert found == {1, 2, 3}


def test_classes_in_common_are_enough_where_items_have_several():
    batch = make_batch([0, 0, 0])
    del batch[keys.LABEL]
    batch[keys.LABELS] = np.float32([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    for seed in range(10):
        one = change(Mismatch(1.0, True), {k: v.copy() for k, v in batch.items()}, seed)
        assert givers(one)[:2].tolist() == [1, 0]


def test_half_an_item_neither_takes_nor_gives():
    for seed in range(10):
        batch = make_batch([0, 0, 0, 0])
        batch[keys.IMAGE_MASK][0] = 0
        batch[keys.TEXT_MASK][1] = 0
        change(Mismatch(1.0, True), batch, seed)
        assert givers(batch).tolist() == [0, 1, 3, 2]
        assert batch[keys.MATCH].tolist() == [1, 1, 0, 0]


def test_one_product_alone_stays_matched():
    batch = change(Mismatch(1.0, True), make_batch([0, 0, 0], products=[5, 5, 5]))
    assert batch[keys.MATCH].all()
    assert givers(batch).tolist() == [0, 1, 2]


def with_texts(batch, queries):
    """Each item's title is its number from 20; a query is the pieces given."""
    texts = [[1, *query, 2, 20 + item, 2] for item, query in enumerate(queries)]
    batch[keys.TEXT_FEATURES] = np.array([text + [0] * (7 - len(text)) for text in texts], np.int32)
    return batch


def queries_of(batch):
    return [row[1 : row.index(2)] for row in batch[keys.TEXT_FEATURES].tolist()]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_so_many_queries_are_mismatched_and_titles_stay_with_their_images(share):
    queries = [[10], [11, 11], [12], [13, 13], [14], [15], [16], [17]]
    batch = change(MismatchQueries(share, True, PIECES), with_texts(make_batch([0] * 8), queries))
    own = np.array([one == other for one, other in zip(queries_of(batch), queries, strict=True)])
    assert np.sum(~own) == 8 * share
    np.testing.assert_array_equal(batch[keys.MATCH], own.astype(np.float32))
    assert givers(batch).tolist() == list(range(8))
    for item, row in enumerate(batch[keys.TEXT_FEATURES].tolist()):
        query = row[1 : row.index(2)]
        assert query in queries
        assert row == [1, *query, 2, 20 + item, 2] + [0] * (3 - len(query))


@pytest.mark.parametrize("seed", range(10))
def test_queries_come_from_other_products_of_the_class(seed):
    """Products 0 and 1 have two items each; item 6 is alone in its class and takes any other."""
    products, labels = [0, 0, 1, 1, 2, 3, 4], [0, 0, 0, 0, 1, 1, 2]
    queries = [[10 + item] for item in range(7)]
    batch = with_texts(make_batch(labels, products), queries)
    change(MismatchQueries(1.0, True, PIECES), batch, seed)
    for item, query in enumerate(queries_of(batch)):
        giver = queries.index(query)
        assert products[giver] != products[item]
        assert labels[giver] == labels[item] or item == 6
    assert not batch[keys.MATCH].any()


def test_products_of_one_title_are_no_mismatch():
    """Items 0 and 1 have one title, so each takes the picture of item 2, and this one theirs."""
    for seed in range(10):
        batch = make_batch([0, 0, 0])
        batch[keys.TEXT_FEATURES][1] = batch[keys.TEXT_FEATURES][0]
        found = givers(change(Mismatch(1.0, True), batch, seed))
        assert found[0] == found[1] == 2 and found[2] in (0, 1)


def test_a_query_that_is_ones_own_is_no_mismatch():
    """Items 0 and 1 have one query, so each takes that of item 2, and this one theirs."""
    for seed in range(10):
        batch = with_texts(make_batch([0, 0, 0]), [[10], [10], [11]])
        change(MismatchQueries(1.0, True, PIECES), batch, seed)
        assert queries_of(batch) == [[11], [11], [10]]
    batch = change(MismatchQueries(1.0, True, PIECES), with_texts(make_batch([0, 0]), [[10], [10]]))
    assert batch[keys.MATCH].all()


def test_items_without_a_query_or_an_image_take_no_part():
    for seed in range(10):
        batch = with_texts(make_batch([0] * 5), [[], [11], [12], [13], [14]])
        batch[keys.IMAGE_MASK][1] = 0
        batch[keys.TEXT_MASK][2], batch[keys.TEXT_FEATURES][2] = 0, 0
        before = batch[keys.TEXT_FEATURES].copy()
        change(MismatchQueries(1.0, False, PIECES), batch, seed)
        np.testing.assert_array_equal(batch[keys.TEXT_FEATURES][:3], before[:3])
        assert batch[keys.TEXT_FEATURES][3:, 1].tolist() == [14, 13]
        assert batch[keys.MATCH].tolist() == [1, 1, 1, 0, 0]
        assert batch[keys.WEIGHT].tolist() == [0, 1, 0, 1, 1], "no query would be known for a match"


# Three words: (4), (5 8 9), (6), between the special ones and padding.
TEXT = [1, 4, 5, 8, 9, 6, 2, 0]


@pytest.mark.parametrize("seed", range(10))
def test_whole_words_are_hidden_and_remembered(seed):
    """5 pieces: .4 are two, so the long word is passed over; .6 are three, so it may be taken."""
    for share, most in ((0.4, 2), (0.6, 3), (0.2, 1)):
        batch = {keys.TEXT_FEATURES: np.array([TEXT], np.int32)}
        change(HideWords(share, PIECES), batch, seed)
        text, hidden = batch[keys.TEXT_FEATURES][0], batch[keys.HIDDEN_WORDS][0]
        places = np.flatnonzero(text == PIECES.mask)
        assert len(hidden) == round(share * 8)
        assert hidden[: len(places)].tolist() == [TEXT[place] for place in places]
        assert not hidden[len(places) :].any()
        assert {*places} & {2, 3, 4} in ({2, 3, 4}, set())
        assert 0 < len(places) <= most
        rest = np.setdiff1d(np.arange(8), places)
        assert text[rest].tolist() == [TEXT[place] for place in rest]


def test_every_word_has_its_turn():
    seen = set()
    for seed in range(30):
        batch = {keys.TEXT_FEATURES: np.array([TEXT], np.int32)}
        change(HideWords(0.6, PIECES), batch, seed)
        seen |= {*np.flatnonzero(batch[keys.TEXT_FEATURES][0] == PIECES.mask)}
    assert seen == {1, 2, 3, 4, 5}


def test_a_text_without_words_hides_none():
    batch = {keys.TEXT_FEATURES: np.array([[1, 2, 0, 0], [0, 0, 0, 0]], np.int32)}
    before = batch[keys.TEXT_FEATURES].copy()
    change(HideWords(0.15, PIECES), batch)
    np.testing.assert_array_equal(batch[keys.TEXT_FEATURES], before)
    assert batch[keys.HIDDEN_WORDS].tolist() == [[0], [0]]


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.4, 2), (1.0, 5)])
def test_patches_are_zeroed_and_remembered(share, count):
    batch = make_batch([0] * 6)
    whole = np.random.default_rng(1).uniform(1, 2, (6, 5, 2)).astype(np.float32)
    batch[keys.IMAGE_FEATURES] = whole.copy()
    change(HidePatches(share), batch)
    places = batch[keys.HIDDEN_PATCHES]
    assert places.shape == (6, count)
    assert batch[keys.PATCH_TARGETS].shape == (6, count, 2)
    for item in range(6):
        assert len({*places[item]}) == count
        gone = ~batch[keys.IMAGE_FEATURES][item].any(axis=1)
        assert {*np.flatnonzero(gone)} == {*places[item]}
        np.testing.assert_array_equal(batch[keys.PATCH_TARGETS][item], whole[item, places[item]])
        np.testing.assert_array_equal(batch[keys.IMAGE_FEATURES][item, ~gone], whole[item, ~gone])
    assert share == 1 or len({tuple(sorted(row)) for row in places.tolist()}) > 1


def test_mismatched_pairs_are_masked_as_true_ones():
    """Else a mask would tell which is which."""
    batch = make_batch([0] * 40, patches=10)
    batch[keys.TEXT_FEATURES] = np.tile(np.array(TEXT, np.int32), (40, 1))
    for made in (Mismatch(0.5, True), HideWords(0.2, PIECES), HidePatches(0.2)):
        change(made, batch)
    hidden = (batch[keys.TEXT_FEATURES] == PIECES.mask).sum(axis=1)
    zero = (~batch[keys.IMAGE_FEATURES].any(axis=2)).sum(axis=1)
    assert set(hidden) == {1}
    assert set(zero) == {2}
