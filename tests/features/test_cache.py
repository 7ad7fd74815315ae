"""What goes into the cache comes out again, whatever happens to its files."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from huse_tf.features.cache import FeatureCache

KEYS = ["0" * 64, "f" * 64, "a0" * 32]
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4)


def open_cache(folder):
    return FeatureCache(folder / "encoder", (4,), "float32")


def test_round_trip(tmp_path):
    cache = open_cache(tmp_path)
    assert KEYS[0] not in cache
    cache.append(KEYS[:2], FEATURES[:2])
    cache.append(KEYS[2:], FEATURES[2:])
    for opened in (cache, open_cache(tmp_path)):
        for key, row in zip(KEYS, FEATURES, strict=True):
            np.testing.assert_array_equal(opened[key], row)
        with pytest.raises(KeyError):
            opened["1" * 64]


def test_two_writers_at_once(tmp_path):
    one, other = open_cache(tmp_path), open_cache(tmp_path)
    one.append(KEYS[:2], FEATURES[:2])
    other.append(KEYS[1:], FEATURES[1:])
    merged = open_cache(tmp_path)
    for key, row in zip(KEYS, FEATURES, strict=True):
        np.testing.assert_array_equal(merged[key], row)


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
    cache.append(KEYS[:1], FEATURES[:1])
    cache.append(KEYS[1:], FEATURES[1:])
    [shard] = [
        path for path in (tmp_path / "encoder").iterdir() if KEYS[0].encode() in path.read_bytes()
    ]
    damage(shard, kind)
    with caplog.at_level(logging.WARNING):
        opened = open_cache(tmp_path)
    assert "damaged" in caplog.text and str(shard) in caplog.text
    assert KEYS[0] not in opened and KEYS[1] in opened
    opened.append(KEYS[:1], FEATURES[:1])
    np.testing.assert_array_equal(open_cache(tmp_path)[KEYS[0]], FEATURES[0])


def test_shards_of_another_shape_are_dropped(tmp_path):
    FeatureCache(tmp_path / "encoder", (2,), "float32").append(KEYS[:1], np.ones((1, 2)))
    assert KEYS[0] not in open_cache(tmp_path)


def test_a_file_that_is_still_written_is_left_alone(tmp_path):
    (tmp_path / "encoder").mkdir()
    temporary = tmp_path / "encoder" / ".shard-x.npy"
    temporary.write_bytes(b"half of")
    open_cache(tmp_path)
    assert temporary.exists()


def test_word_ids(tmp_path):
    cache = FeatureCache(tmp_path, (2,), "int32")
    cache.append(KEYS[:1], np.array([[7, 0]], np.int32))
    reopened = FeatureCache(tmp_path, (2,), "int32")[KEYS[0]]
    assert reopened.tolist() == [7, 0] and reopened.dtype == np.int32
