"""What goes into the cache comes out again, whatever happens to its files."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pathlib

import numpy as np
import pytest

from huse_tf.features.cache import DIGEST, FeatureCache


def digests(*texts):
    """DIGEST of hex digits."""
    return np.frombuffer(bytes.fromhex("".join(texts)), DIGEST)


# Two end in zeros, which numpy strips from what it gives out.
DIGESTS = digests("00" * 32, "ff" * 32, "a0" * 31 + "00")
UNKNOWN = digests("11" * 32)
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4)


def open_cache(folder):
    return FeatureCache(folder / "encoder", (4,), "float32")


def features_in(cache, wanted):
    places = cache.find(wanted)
    assert (places >= 0).all()
    into = np.full((len(wanted), 4), np.nan, np.float32)
    cache.copy(places, into, np.arange(len(wanted)))
    return into


def test_round_trip(tmp_path):
    cache = open_cache(tmp_path)
    assert cache.find(DIGESTS).tolist() == [-1, -1, -1]
    cache.append(DIGESTS[:2], FEATURES[:2])
    assert (cache.find(DIGESTS) < 0).tolist() == [False, False, True]
    cache.append(DIGESTS[2:], FEATURES[2:])
    for opened in (cache, open_cache(tmp_path)):
        np.testing.assert_array_equal(features_in(opened, DIGESTS), FEATURES)
        np.testing.assert_array_equal(features_in(opened, DIGESTS[[2, 0, 2]]), FEATURES[[2, 0, 2]])
        assert opened.find(np.concatenate([UNKNOWN, DIGESTS[:0]])).tolist() == [-1]
        assert opened.find(DIGESTS[:0]).shape == (0,)


def test_some_rows_are_written_and_no_others(tmp_path):
    cache = open_cache(tmp_path)
    for row in range(3):
        cache.append(DIGESTS[[row]], FEATURES[[row]])
    into = np.full((5, 4), -1, np.float32)
    cache.copy(cache.find(DIGESTS[[2, 0, 2]]), into, np.array([4, 1, 0]))
    expected = np.full((5, 4), -1, np.float32)
    expected[[4, 1, 0]] = FEATURES[[2, 0, 2]]
    np.testing.assert_array_equal(into, expected)


def test_digests_are_told_apart_by_all_their_bytes(tmp_path):
    one, other, third = (digests("0123456789abcdef" + end * 24) for end in ("aa", "bb", "cc"))
    cache = open_cache(tmp_path)
    cache.append(other, FEATURES[:1])
    assert cache.find(one).tolist() == cache.find(third).tolist() == [-1]
    cache.append(one, FEATURES[1:2])
    found = features_in(cache, np.concatenate([one, other]))
    np.testing.assert_array_equal(found, FEATURES[[1, 0]])
    assert cache.find(third).tolist() == [-1]


def test_files_are_records_of_hex_digits_and_features(tmp_path):
    """The format that caches of all versions have."""
    keys = ["0" * 64, "f" * 64, "a0" * 31 + "00"]
    shard = np.empty(3, [("key", "S64"), ("features", "float32", (4,))])
    shard["key"], shard["features"] = keys, FEATURES
    buffer = io.BytesIO()
    np.save(buffer, shard, allow_pickle=False)
    name = hashlib.sha256(buffer.getvalue()).hexdigest() + ".npy"
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / name).write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(features_in(open_cache(tmp_path), DIGESTS), FEATURES)
    open_cache(tmp_path / "new").append(DIGESTS, FEATURES)
    [written] = (tmp_path / "new" / "encoder").iterdir()
    assert (written.name, written.read_bytes()) == (name, buffer.getvalue())


def test_two_writers_at_once(tmp_path):
    one, other = open_cache(tmp_path), open_cache(tmp_path)
    one.append(DIGESTS[:2], FEATURES[:2])
    other.append(DIGESTS[1:], FEATURES[1:])
    np.testing.assert_array_equal(features_in(open_cache(tmp_path), DIGESTS), FEATURES)


def damage(path, kind):
    data = path.read_bytes()
    if kind == "cut":
        path.write_bytes(data[:-3])
    elif kind == "flipped":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("kind", ["cut", "flipped", "empty"])
def test_a_damaged_shard_is_dropped_and_told(tmp_path, caplog, kind):
    cache = open_cache(tmp_path)
    cache.append(DIGESTS[:1], FEATURES[:1])
    cache.append(DIGESTS[1:], FEATURES[1:])
    [shard] = [path for path in (tmp_path / "encoder").iterdir() if b"0" * 64 in path.read_bytes()]
    damage(shard, kind)
    with caplog.at_level(logging.WARNING):
        opened = open_cache(tmp_path)
    assert "damaged" in caplog.text and str(shard) in caplog.text
    assert (opened.find(DIGESTS) < 0).tolist() == [True, False, False]
    opened.append(DIGESTS[:1], FEATURES[:1])
    np.testing.assert_array_equal(features_in(open_cache(tmp_path), DIGESTS), FEATURES)


def test_shards_of_another_shape_are_dropped(tmp_path):
    FeatureCache(tmp_path / "encoder", (2,), "float32").append(DIGESTS[:1], np.ones((1, 2)))
    assert open_cache(tmp_path).find(DIGESTS[:1]).tolist() == [-1]


def test_a_file_that_is_still_written_is_left_alone(tmp_path):
    (tmp_path / "encoder").mkdir()
    temporary = tmp_path / "encoder" / ".shard-x.npy"
    temporary.write_bytes(b"half of")
    open_cache(tmp_path)
    assert temporary.exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted by /proc")
def test_shards_do_not_stay_open(tmp_path):
    """A cache has more of them than a process may open files."""
    before = len(list(pathlib.Path("/proc/self/fd").iterdir()))
    cache = open_cache(tmp_path)
    wanted = digests(*(f"{n:064x}" for n in range(1, 31)))
    for row in range(30):
        cache.append(wanted[[row]], np.full((1, 4), row, np.float32))
    for opened in (cache, open_cache(tmp_path)):
        assert features_in(opened, wanted)[:, 0].tolist() == list(range(30))
        assert len(list(pathlib.Path("/proc/self/fd").iterdir())) < before + 10


def test_word_ids(tmp_path):
    cache = FeatureCache(tmp_path, (2,), "int32")
    cache.append(DIGESTS[:1], np.array([[7, 0]], np.int32))
    reopened = FeatureCache(tmp_path, (2,), "int32")
    into = np.zeros((1, 2), np.int32)
    reopened.copy(reopened.find(DIGESTS[:1]), into, np.array([0]))
    assert into.tolist() == [[7, 0]]


def test_what_is_not_a_shard_is_neither_read_nor_removed(tmp_path):
    """A run's settings name the folder, and may name one that holds other things."""
    cache = open_cache(tmp_path)
    cache.append(DIGESTS, FEATURES)
    other = tmp_path / "encoder" / "holiday.npy"
    other.write_bytes(b"precious")
    np.testing.assert_array_equal(features_in(open_cache(tmp_path), DIGESTS), FEATURES)
    assert other.read_bytes() == b"precious"
