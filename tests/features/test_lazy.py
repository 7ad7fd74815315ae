"""Features made batch by batch are those made at once, and say which image is broken."""

import tracemalloc

import numpy as np
import PIL.Image
import pytest

from huse_tf.errors import UserError
from huse_tf.features.lazy import LazyFeatures
from huse_tf.features.pixels import Pixels


@pytest.fixture
def paths(tmp_path, rng):
    paths = []
    for index in range(5):
        pixels = rng.integers(0, 256, (20 + index, 30, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{index}.png")
        PIL.Image.fromarray(pixels).save(paths[-1])
    return paths


def test_any_rows_in_any_order(paths):
    encoder = Pixels("pixels:16")
    present = np.array([True, True, False, True, True])
    lazy = LazyFeatures(encoder, paths, present)
    assert lazy.shape == (5, 16, 16, 3) and lazy.dtype == np.float32 and len(lazy) == 5
    whole = encoder(np.array([path.read_bytes() for path in paths])).numpy()
    whole[2] = 0
    np.testing.assert_array_equal(lazy[:], whole)
    order = np.array([4, 2, 0, 0])
    np.testing.assert_array_equal(lazy[order], whole[order])
    some = lazy[np.array([False, True, True, False, True])]
    assert isinstance(some, LazyFeatures)
    np.testing.assert_array_equal(some[1:], whole[[2, 4]])
    fewer = some[np.array([True, False, True])]
    np.testing.assert_array_equal(fewer[np.array([1, 0])], whole[[4, 1]])
    assert len(fewer) == 2 and len(some) == 3 and fewer.shape == (2, 16, 16, 3)


def test_paths_take_little_more_than_their_bytes():
    """As texts of Python they take 49 bytes more each, and 8 in a list."""
    rows = 10_000
    texts = (f"folder/{number:05d}.jpg" for number in range(rows))  # 16 bytes each
    tracemalloc.start()
    try:
        lazy = LazyFeatures(Pixels("pixels:16"), texts, np.ones(rows, bool))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(lazy) == rows
    assert held / rows < 45


def test_a_broken_image_is_named(paths):
    paths[3].write_bytes(b"no image")
    lazy = LazyFeatures(Pixels("pixels:16"), paths, np.ones(5, bool))
    with pytest.raises(UserError, match=r"3\.png.*cannot be decoded"):
        lazy[:]


@pytest.mark.parametrize("spec", ["pixels", "pixels:8", "pixels:2000", "pixels:x"])
def test_sizes_out_of_range_are_refused(spec):
    with pytest.raises(UserError, match="from 16 to 1024"):
        Pixels(spec)
