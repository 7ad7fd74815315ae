"""What is left of a text: a part of it, in its order, and never nothing."""

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.changes.text_augmentation import drop_fields, drop_tokens

IDS = np.array([[5, 3, 5, 9, 7, 2], [8, 1, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0], [0] * 6], np.int32)
FIELDS = np.array([["title", "text", ""], ["", "only", ""], ["", "", ""], ["a", "b", "c"]])


def tokens(row):
    return [token for token in row if token]


def is_part_in_order(part, whole):
    rest = iter(whole)
    return all(token in rest for token in part)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_tokens(rate, seed):
    dropped = drop_tokens(tf.constant(IDS), rate, (seed, 7)).numpy()
    assert dropped.dtype == np.int32 and dropped.shape == IDS.shape
    for after, before in zip(dropped.tolist(), IDS.tolist(), strict=True):
        kept = tokens(after)
        assert after == kept + [0] * (6 - len(kept))
        assert is_part_in_order(kept, tokens(before))
        assert bool(kept) == bool(tokens(before))
        if rate == 0:
            assert after == before
        if rate == 1:
            assert len(kept) == min(1, len(tokens(before)))


def test_rate_and_seed_of_tokens():
    """Of 10,000 tokens 3/10 go: 3000 ± 5 deviations of sqrt(10000 * .3 * .7) = 46."""
    ids = tf.ones([100, 100], tf.int32)
    one, again, other = (drop_tokens(ids, 0.3, seed) for seed in ((1, 2), (1, 2), (2, 2)))
    assert abs(10_000 - int(tf.reduce_sum(one)) - 3000) < 230
    np.testing.assert_array_equal(one, again)
    assert (one != other).numpy().any()


def test_in_a_graph_shapes_are_static():
    step = tf.function(lambda ids, seed: drop_tokens(ids, 0.5, seed))
    concrete = step.get_concrete_function(
        tf.TensorSpec([None, 6], tf.int32), tf.TensorSpec([2], tf.int64)
    )
    assert concrete.structured_outputs.shape.as_list() == [None, 6]
    np.testing.assert_array_equal(
        concrete(tf.constant(IDS), tf.constant([1, 2], tf.int64)),
        drop_tokens(tf.constant(IDS), 0.5, (1, 2)),
    )


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_fields(rate, seed):
    dropped = drop_fields(tf.constant(FIELDS), rate, (seed, 3)).numpy().astype(str)
    for after, before in zip(dropped, FIELDS, strict=True):
        assert all(a in ("", b) for a, b in zip(after, before, strict=True))
        assert after.any() == before.any()
        if rate == 0:
            assert (after == before).all()
        if rate == 1:
            assert np.count_nonzero(after) == min(1, np.count_nonzero(before))


def test_each_field_can_be_the_last_one():
    last = {tuple(drop_fields(FIELDS[3:], 1.0, (seed, 0)).numpy()[0]) for seed in range(40)}
    assert last == {(b"a", b"", b""), (b"", b"b", b""), (b"", b"", b"c")}
