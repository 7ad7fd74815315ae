"""What is left of texts while training, against what drop_fields and drop_tokens promise."""

import itertools

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.changes import text_changes
from huse_tf.changes.text_changes import FieldDropout, TokenDropout

FIELDS = [("red lamp", "for tables"), ("blue chair", ""), ("", "a rug")]


class Lengths:
    """[n] texts -> [n, 1] their lengths; counts what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        tf.py_function(lambda t: self.asked.extend(t.numpy().tolist()), [texts], [])
        return tf.cast(tf.strings.length(texts), tf.float32)[:, None]


def changed(rate, seed=0, rows=(2, 0, 1, 0)):
    encode = Lengths()
    change = FieldDropout(rate, FIELDS, encode)
    batch = {keys.TEXT_FEATURES: np.full((len(rows), 1), -1, np.float32)}
    change(batch, np.array(rows), np.random.default_rng(seed))
    return batch[keys.TEXT_FEATURES][:, 0].tolist(), encode.asked, change, batch


def test_a_text_that_lost_a_column_is_encoded_without_it():
    """Rate 1 leaves one column each: of the first item either 8 letters or 10; others have one only."""
    features, asked, _, _ = changed(rate=1.0)
    assert features[0] == features[2] == -1  # nothing was lost, so nothing changes
    assert set(features[1::2]) <= {8, 10}
    assert set(asked) <= {b"red lamp", b"for tables"}


def test_nothing_is_lost_without_a_rate():
    features, asked, _, _ = changed(rate=0.0)
    assert features == [-1] * 4 and not asked


def test_a_text_is_encoded_once():
    _, asked, change, batch = changed(rate=1.0)
    for seed in range(5):
        change(batch, np.array([0, 0, 0, 0]), np.random.default_rng(seed))
    assert sorted(asked) == [b"for tables", b"red lamp"]


def test_only_so_many_texts_are_remembered(monkeypatch):
    """One here: of two, the one that was learnt first is forgotten, and encoded again when it comes."""
    monkeypatch.setattr(text_changes, "_REMEMBERED", 1)
    encode = Lengths()
    change = FieldDropout(1.0, [("ab", "cde")], encode)
    for seed in range(12):
        batch = {keys.TEXT_FEATURES: np.full((1, 1), -1, np.float32)}
        change(batch, np.array([0]), np.random.default_rng(seed))
        assert batch[keys.TEXT_FEATURES][0, 0] == len(encode.asked[-1])
    assert encode.asked[:4] in ([b"ab", b"cde"] * 2, [b"cde", b"ab"] * 2)
    assert all(one != other for one, other in itertools.pairwise(encode.asked))


def test_what_is_left_keeps_its_place_between_separators():
    """Of ("red lamp", "for tables") one is left, on its side of the separator."""
    encode = Lengths()
    change = FieldDropout(1.0, FIELDS, encode, "[SEP]")
    for seed in range(8):
        batch = {keys.TEXT_FEATURES: np.full((3, 1), -1, np.float32)}
        change(batch, np.arange(3), np.random.default_rng(seed))
        assert batch[keys.TEXT_FEATURES][1:, 0].tolist() == [-1, -1]
    assert sorted(encode.asked) == [b"[SEP] for tables", b"red lamp [SEP]"]


def test_equal_seeds_lose_the_same():
    assert changed(0.5, seed=3)[0] == changed(0.5, seed=3)[0]
    assert len({tuple(changed(0.5, seed=seed)[0]) for seed in range(8)}) > 1


def test_words_that_stay_keep_their_order():
    ids = np.array([[5, 6, 7, 8, 0, 0], [9, 0, 0, 0, 0, 0]], np.int32)
    lost = 0
    for seed in range(20):
        batch = {keys.TEXT_FEATURES: ids.copy()}
        TokenDropout(0.4)(batch, np.arange(2), np.random.default_rng(seed))
        words = [int(word) for word in batch[keys.TEXT_FEATURES][0] if word]
        assert words and words == sorted(words) and set(words) <= {5, 6, 7, 8}
        assert batch[keys.TEXT_FEATURES][1].tolist() == [9, 0, 0, 0, 0, 0]
        lost += 4 - len(words)
    assert 15 < lost < 50  # 80 words, a chance of .4


def test_a_catalogue_without_text_columns_has_nothing_to_lose():
    encode = Lengths()
    batch = {keys.TEXT_FEATURES: np.zeros((2, 1), np.float32)}
    FieldDropout(1.0, [(), ()], encode)(batch, np.arange(2), np.random.default_rng(0))
    assert not batch[keys.TEXT_FEATURES].any() and not encode.asked
