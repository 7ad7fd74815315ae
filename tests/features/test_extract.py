"""Every distinct input is encoded once, failures are named, and nothing that is done is lost."""

from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.features import extract as extract_module
from huse_tf.features.encoder import Encoder
from huse_tf.features.extract import extract
from huse_tf.spec import FeatureSpec


class Lengths(Encoder):
    """[length, length^2] of each input; refuses inputs that hold "bad"; counts what it encodes."""

    def __init__(self, spec="lengths", version="1", ids=False):
        super().__init__(spec)
        self.version, self.ids = version, ids
        self.count = tf.Variable(0)

    @property
    def feature_spec(self):
        return FeatureSpec((2,), vocabulary_size=9 if self.ids else None)

    def _identity(self):
        return (self.version,)

    def __call__(self, inputs):
        good = ~tf.strings.regex_full_match(inputs, ".*bad.*")
        check = tf.debugging.Assert(tf.reduce_all(good), ["The input is bad."])
        with tf.control_dependencies([check]):
            self.count.assign_add(tf.size(inputs))  # one locked step; batches run at once
            lengths = tf.strings.length(inputs)
            features = tf.stack([lengths, lengths**2], 1)
        return features if self.ids else tf.cast(features, tf.float32)

    @property
    def encoded(self):
        return int(self.count)


class Reciprocals(Lengths):
    """[1 / (length - 2), 1] of each input: infinite for two letters."""

    def __call__(self, inputs):
        length = super().__call__(inputs)[:, :1]
        return tf.concat([1 / (length - 2), tf.ones_like(length)], 1)


class Anew:
    """What `make` makes, anew whenever it is iterated over, as a column on disk does."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return iter(self.make())


def lengths(texts):
    return np.array([[len(text), len(text) ** 2] for text in texts], np.float32)


def test_features_stand_in_the_order_of_the_inputs(tmp_path):
    texts = ["ccc", "a", "bb", "eeeee", "dddd"]
    extracted = extract(Lengths(), texts, cache_dir=tmp_path, batch_size=2)
    np.testing.assert_array_equal(extracted.features, lengths(texts))
    assert extracted.features.dtype == np.float32 and extracted.failed == {}


def test_equal_inputs_and_known_ones_are_not_encoded_again(tmp_path, caplog):
    encoder = Lengths()
    extract(encoder, ["a", "bb", "a", "a"], cache_dir=tmp_path)
    assert encoder.encoded == 2
    with caplog.at_level(logging.INFO, logger="absl"):
        extracted = extract(encoder, ["bb", "ccc", "a"], cache_dir=tmp_path, label="texts")
    assert encoder.encoded == 3
    assert "texts: 3 inputs, 3 distinct, 1 to encode with lengths" in caplog.text
    np.testing.assert_array_equal(extracted.features, lengths(["bb", "ccc", "a"]))
    other = Lengths(version="2")
    extract(other, ["a"], cache_dir=tmp_path)
    assert other.encoded == 1


def test_texts_bytes_and_files_are_the_same_inputs(tmp_path):
    file = tmp_path / "image.png"
    file.write_bytes("naïve".encode())
    extracted = extract(Lengths(), [file, "naïve", "naïve".encode()], cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(extracted.features, [[6, 36]] * 3)  # ï is two bytes.


def test_inputs_that_fail_are_named_and_stand_alone(tmp_path):
    texts = ["good", "bad one", "fine", "bad two", "bad one"]
    missing = tmp_path / "missing.png"
    extracted = extract(Lengths(), [*texts, missing], cache_dir=tmp_path / "cache", batch_size=5)
    assert list(extracted.failed) == [1, 3, 4, 5]
    assert extracted.failed[1] == extracted.failed[4] == "The input is bad."
    assert "missing.png" in extracted.failed[5]
    np.testing.assert_array_equal(extracted.features[[0, 2]], lengths(["good", "fine"]))
    assert np.isnan(extracted.features[[1, 3, 4, 5]]).all()


def test_features_that_are_not_finite_are_failures_and_not_kept(tmp_path):
    """Alone: others of the batch are good. Asked for again, they fail again."""
    texts = ["a", "bb", "ccc", "dd"]
    for _ in range(2):
        extracted = extract(Reciprocals("reciprocals"), texts, cache_dir=tmp_path, batch_size=4)
        reason = "its features hold numbers that are not finite, or larger than 1e+15"
        assert extracted.failed == {1: reason, 3: reason}
        np.testing.assert_array_equal(extracted.features[[0, 2]], [[-1, 1], [1, 1]])


def test_failures_of_word_ids_are_marked(tmp_path):
    extracted = extract(Lengths(ids=True), ["bad", "a"], cache_dir=tmp_path)
    assert (
        extracted.features.tolist() == [[-1, -1], [1, 1]] and extracted.features.dtype == np.int32
    )


def test_each_distinct_input_is_encoded_once_whatever_window_it_is_in(tmp_path, monkeypatch):
    """Texts 0, 2 and 7 are equal, and bad ones are in the first window and the last."""
    monkeypatch.setattr(extract_module, "WINDOW", 3)
    monkeypatch.setattr(extract_module, "_CHUNK", 2)
    texts = ["a", "bad", "a", "ccc", "dd", "ccc", "eeee", "a", "bad", "ffffff", "bad too"]
    good = [index for index, text in enumerate(texts) if "bad" not in text]
    encoder = Lengths()
    extracted = extract(encoder, Anew(lambda: texts), cache_dir=tmp_path, batch_size=1)
    assert encoder.encoded == len({texts[index] for index in good})
    assert extracted.failed == dict.fromkeys((1, 8, 10), "The input is bad.")
    np.testing.assert_array_equal(extracted.features[good], lengths(texts)[good])
    assert np.isnan(extracted.features[list(extracted.failed)]).all()


def test_texts_of_a_window_go_by_length(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "WINDOW", 4)
    seen = []
    original = extract_module._encode_batch

    def spy(function, batch, failed):
        seen.append([text for _, text in batch])
        return original(function, batch, failed)

    monkeypatch.setattr(extract_module, "_encode_batch", spy)
    monkeypatch.setattr(extract_module, "_AT_ONCE", 1)  # so that batches are seen in their order
    texts = ["a", "ccc", "dddd", "bb", "e", "gg", "fff"]
    extract(Lengths(), texts, cache_dir=tmp_path, batch_size=2)
    assert seen == [["dddd", "ccc"], ["bb", "a"], ["fff", "gg"], ["e"]]


def test_rows_of_a_given_array_are_filled(tmp_path):
    into = np.zeros((6, 2), np.float32)
    places = np.array([5, 0, 3])
    extracted = extract(Lengths(), ["a", "bad", "bb"], cache_dir=tmp_path, into=into, places=places)
    assert extracted.features is into and list(extracted.failed) == [1]
    np.testing.assert_array_equal(into[[5, 3]], lengths(["a", "bb"]))
    assert np.isnan(into[0]).all() and not into[[1, 2, 4]].any()


def test_inputs_are_not_held_in_memory(tmp_path):
    """A text by itself is an object of 65 bytes here, and a list of them 8 more."""
    rows = 20_000
    texts = Anew(lambda: (f"text {number:010d}" for number in range(rows)))
    extract(Lengths(), texts, cache_dir=tmp_path, batch_size=1024)
    into = np.zeros((rows, 2), np.float32)
    encoder = Lengths()
    tracemalloc.start()
    try:
        extract(encoder, texts, cache_dir=tmp_path, into=into)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / rows < 180  # 140 measured, half of it the cache's index while it is made
    assert encoder.encoded == 0
    np.testing.assert_array_equal(into, [[15, 225]] * rows)


def test_an_interruption_keeps_what_is_done(tmp_path, monkeypatch):
    """Batches of two, the longest first; the third batch is interrupted."""
    third = ["aaa", "aa"]  # told by its texts: which batch a thread takes up first is chance

    def interrupted(function, batch, failed):
        if [text for _, text in batch] == third:
            raise KeyboardInterrupt
        return original(function, batch, failed)

    original = extract_module._encode_batch
    monkeypatch.setattr(extract_module, "_encode_batch", interrupted)
    texts = ["a" * n for n in range(1, 8)]
    with pytest.raises(KeyboardInterrupt):
        extract(Lengths(), texts, cache_dir=tmp_path, batch_size=2)
    monkeypatch.undo()
    encoder = Lengths()
    extracted = extract(encoder, texts, cache_dir=tmp_path, batch_size=2)
    assert encoder.encoded == len(texts) - 4
    np.testing.assert_array_equal(extracted.features, lengths(texts))


def test_shards_are_written_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(extract_module, "SHARD_SIZE", 3)
    extract(Lengths(), [str(n) for n in range(10)], cache_dir=tmp_path, batch_size=2)
    assert len(list(tmp_path.glob("*/*.npy"))) == 3  # 4, 4 and 2 items.


def test_no_inputs(tmp_path):
    extracted = extract(Lengths(), [], cache_dir=tmp_path)
    assert extracted.features.shape == (0, 2) and extracted.failed == {}
