"""What is hidden in the pairs of a batch, and remembered."""

import collections

import numpy as np
import pytest

from huse_tf import keys
from huse_tf.changes.masking import HidePatches, HideWords
from huse_tf.spec import WordPieces

PIECES = WordPieces(start=1, end=2, mask=3, continuations=frozenset({8, 9}))
VOCABULARY = 20


def change(made, batch, seed=0):
    count = len(next(iter(batch.values())))
    made(batch, np.arange(count), np.random.default_rng(seed))
    return batch


def hide(share, texts, seed=0):
    """([n, length] ids as the stream sees them, [n, length] bool what is to be guessed, HIDDEN_WORDS)."""
    batch = {keys.TEXT_FEATURES: np.array(texts, np.int32)}
    change(HideWords(share, PIECES, VOCABULARY), batch, seed)
    ids = batch[keys.TEXT_FEATURES]
    return np.abs(ids), ids < 0, batch[keys.HIDDEN_WORDS]


# Three words: (4), (5 8 9), (6), between the special ones and padding.
TEXT = [1, 4, 5, 8, 9, 6, 2, 0]


@pytest.mark.parametrize("seed", range(10))
def test_whole_words_are_chosen_and_remembered(seed):
    """5 pieces: .4 are two, so the long word is passed over; .6 are three, so it may be taken."""
    for share, most in ((0.4, 2), (0.6, 3), (0.2, 1)):
        (seen,), (guessed,), (hidden,) = hide(share, [TEXT], seed)
        places = np.flatnonzero(guessed)
        assert len(hidden) == round(share * 8)
        assert hidden[: len(places)].tolist() == [TEXT[place] for place in places]
        assert not hidden[len(places) :].any()
        assert {*places} & {2, 3, 4} in ({2, 3, 4}, set())
        assert 0 < len(places) <= most
        assert seen[~guessed].tolist() == np.array(TEXT)[~guessed].tolist()


def test_every_word_has_its_turn():
    chosen = [np.flatnonzero(hide(0.6, [TEXT], seed)[1][0]) for seed in range(30)]
    assert {*np.concatenate(chosen)} == {1, 2, 3, 4, 5}


def test_of_ten_chosen_words_eight_are_hidden_one_is_replaced_and_one_is_kept():
    """By the word: all pieces of one have the same fate. Other pieces are any but the special ones.

    Of 12,000 words the standard deviation of the share of 0.8 is .004, of 0.1 .003. A word that is
    replaced comes out as it was by chance in 1 of 16 cases, or of 16 ** 3.
    """
    seen, guessed, hidden = hide(1.0, [TEXT] * 4000)
    np.testing.assert_array_equal(guessed, np.tile(np.isin(TEXT, [4, 5, 8, 9, 6]), (4000, 1)))
    np.testing.assert_array_equal(hidden[:, :5], np.tile([4, 5, 8, 9, 6], (4000, 1)))
    fates, others = collections.Counter(), []
    for text in seen:
        for places in ([1], [2, 3, 4], [5]):
            word, was = text[places], np.array(TEXT)[places]
            if (word == PIECES.mask).all():
                fates["hidden"] += 1
            elif (word == was).all():
                fates["kept"] += 1
            else:
                fates["replaced"] += 1
                others.extend(word[word != was])
                assert not (word == PIECES.mask).any()
    assert fates["hidden"] / 12000 == pytest.approx(0.8, abs=0.016)
    assert fates["replaced"] / 12000 == pytest.approx(0.1 * (1 - 2 / 3 / 16), abs=0.012)
    assert fates["kept"] / 12000 == pytest.approx(0.1 * (1 + 2 / 3 / 16), abs=0.012)
    assert {*others} == {*range(4, VOCABULARY)}
    drawn = np.bincount(others)[10:]  # pieces that no word was made of
    assert drawn.min() > 0.7 * drawn.mean()


def test_fifteen_percent_of_the_pieces_are_chosen():
    """Of a text of 40 pieces in words of one 6, of 10 pieces 2 (1.5, to the even), of 3 one."""
    texts = np.zeros((300, 44), np.int32)
    texts[:, 0] = PIECES.start
    lengths = np.resize([40, 10, 3], 300)
    for text, length in zip(texts, lengths, strict=True):
        text[1 : length + 1], text[length + 1] = 4, PIECES.end
    _, guessed, hidden = hide(0.15, texts)
    assert guessed.sum(axis=1).tolist() == np.resize([6, 2, 1], 300).tolist()
    assert ((hidden > 0).sum(axis=1) == guessed.sum(axis=1)).all()
    often = guessed[lengths == 40][:, 1:41].mean(axis=0)
    assert often.min() > 0.02 and often.max() < 0.35, "every place has its turn"


def test_draws_by_hand():
    """The order of two words, then the fate of each: kept from .9 on, replaced from .8 on."""

    class Drawn:
        def __init__(self, chances):
            self.chances = iter(chances)

        def permutation(self, count):
            return np.arange(count)[::-1]

        def random(self):
            return next(self.chances)

        def choice(self, ids, count):
            assert ids.tolist() == [*range(4, VOCABULARY)]
            return np.array([15, 16, 17][:count])

    for chances, expected in (
        ((0.79, 0.81), [1, -15, -3, 2]),
        ((0.89, 0.9), [1, -4, -15, 2]),
        ((0.99, 0.0), [1, -3, -6, 2]),
    ):
        batch = {keys.TEXT_FEATURES: np.array([[1, 4, 6, 2]], np.int32)}
        HideWords(1.0, PIECES, VOCABULARY)(batch, np.arange(1), Drawn(chances))
        assert batch[keys.TEXT_FEATURES].tolist() == [expected]
        assert batch[keys.HIDDEN_WORDS].tolist() == [[4, 6, 0, 0]]


def test_a_text_without_words_hides_none():
    texts = [[1, 2, 0, 0], [0, 0, 0, 0]]
    seen, guessed, hidden = hide(0.15, texts)
    assert seen.tolist() == texts
    assert not guessed.any()
    assert hidden.tolist() == [[0], [0]]


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.4, 2), (1.0, 5)])
def test_patches_are_zeroed_and_remembered(share, count):
    whole = np.random.default_rng(1).uniform(1, 2, (6, 5, 2)).astype(np.float32)
    batch = {keys.IMAGE_FEATURES: whole.copy()}
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
