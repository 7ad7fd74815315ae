"""Prefixes of a joined vector are joined vectors of prefixes, in the shares of the whole."""

import itertools

import keras
import numpy as np
import pytest

from huse_tf.models.nesting import Nesting, unit_blocks
from huse_tf.models.prefixes import prefix_logits


def test_shares_by_hand():
    """20 + 5 units, cut after 9 and 16: sqrt(9/25) = .6 and sqrt(16/25) = .8 of 5 units and of the length."""
    nesting = Nesting.of((9, 16), first=20, second=5, share=0.4)
    assert nesting.second == (3, 1, 1)
    assert nesting.first == (6, 6, 8)
    np.testing.assert_allclose(nesting.weights, (0.6, 0.2, 0.2))
    assert nesting.order[:9] == (0, 1, 2, 3, 4, 5, 20, 21, 22)


def test_a_large_second_part_gets_no_more_than_its_share():
    nesting = Nesting.of((64,), first=512, second=384, share=0.35)
    assert nesting.second[0] == round(0.35 * 64)


@pytest.mark.parametrize("second", [0, 1, 2, 5, 40, 700])
@pytest.mark.parametrize("share", [0.05, 0.35, 0.95])
@pytest.mark.parametrize("prefixes", [(2,), (2, 3, 4), (8, 9, 30, 63), tuple(range(2, 64))])
def test_every_prefix_is_of_prefixes(second, share, prefixes):
    nesting = Nesting.of(prefixes, 64, second, share)
    assert sorted(nesting.order) == list(range(64 + second))
    assert sum(nesting.weights) == pytest.approx(1) and min(nesting.weights) > 0
    ones, twos = (list(itertools.accumulate(each)) for each in (nesting.first, nesting.second))
    for size, one, two in zip(prefixes, ones, twos, strict=False):
        assert set(nesting.order[:size]) == {*range(one), *range(64, 64 + two)}
        assert one >= 1 and two >= min(1, second)
        assert two <= max(1, share * size + 0.5)
    assert min(*nesting.first, *nesting.second) >= 0


def joined(nesting, rng, share):
    """Joined vectors of random parts, as a model joins them; and both parts, cut in blocks of unit length."""
    inputs = [keras.Input((sum(each),)) for each in (nesting.first, nesting.second)]
    one, two = (
        unit_blocks(x, sizes, nesting.weights)
        for x, sizes in zip(inputs, (nesting.first, nesting.second), strict=True)
    )
    both = keras.ops.concatenate([one * (1 - share) ** 0.5, two * share**0.5], axis=-1)
    model = keras.Model(inputs, [keras.ops.take(both, list(nesting.order), axis=-1), one, two])
    rows = [rng.normal(size=(7, sum(each))) for each in (nesting.first, nesting.second)]
    return [np.asarray(each) for each in model(rows)]


def test_a_cut_vector_is_the_joined_vector_of_cut_parts(rng):
    """Its parts have the shares of the whole, so no part outweighs the other at a prefix."""
    nesting = Nesting.of((9, 16), 20, 5, 0.4)
    vectors, one, two = joined(nesting, rng, share=0.3)

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    for size, ones, twos in ((9, 6, 3), (16, 12, 4), (25, 20, 5)):
        found = unit(vectors[:, :size]) @ unit(vectors[:, :size]).T
        expected = 0.7 * unit(one[:, :ones]) @ unit(one[:, :ones]).T
        expected += 0.3 * unit(two[:, :twos]) @ unit(two[:, :twos]).T
        np.testing.assert_allclose(found, expected, atol=1e-5)
        # All prefixes of a size are equally long, so a dot product ranks as the cosine does.
        lengths = np.linalg.norm(vectors[:, :size], axis=1) ** 2
        np.testing.assert_allclose(lengths, np.sqrt(size / 25), rtol=1e-5)


def test_blocks_without_units_leave_their_length_to_the_one_before(rng):
    rows = rng.normal(size=(4, 3))
    entry = keras.Input((3,))
    model = keras.Model(entry, unit_blocks(entry, (2, 0, 1), (0.3, 0.2, 0.5)))
    found = np.asarray(model(rows))
    np.testing.assert_allclose(np.linalg.norm(found[:, :2], axis=1) ** 2, 0.5, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_logits_of_a_prefix_by_hand():
    """The prefix (.6, .8) of any vector scores .6 times the first row of the kernel plus .8 times the second."""
    classifier = keras.layers.Dense(2)
    entry = keras.Input((3,))
    model = keras.Model(entry, prefix_logits(entry, classifier, (1, 2)))
    classifier.set_weights([np.array([[1.0, 0], [0, 2], [5, 5]]), np.array([0.1, 0.2])])
    found = np.asarray(model(np.array([[0.36, 0.48, 0.8]])))
    np.testing.assert_allclose(found, [[[1.1, 0.2], [0.7, 1.8]]], rtol=1e-5)
