"""Features of a catalogue's columns: the right rows, whatever kind of encoder makes them."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from huse_tf.errors import UserError
from huse_tf.features import item_encoders
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.features.lazy import LazyFeatures
from huse_tf.features.pixels import Pixels
from huse_tf.sections import FeatureConfig

IDS = ["d", "a", "c", "b"]
PRESENT = np.array([True, False, True, True])


class Column:
    """Cells without a length, which can be iterated over again and again."""

    def __init__(self, cells):
        self.cells = cells

    def __iter__(self):
        return iter(self.cells)


def encoders(folder, **names):
    return ItemEncoders(FeatureConfig(cache_dir=str(folder / "cache"), **names))


def test_texts(tmp_path):
    made = encoders(tmp_path, text_encoder="tfidf")
    texts = ["red sofa", "", "lamp", "lamp lamp"]
    made.text.fit(texts)
    features, failed = made.encode(made.text, Column(texts), Column(IDS), PRESENT, "Texts")
    expected = np.where(PRESENT[:, None], made.text(np.array(texts)).numpy(), 0)
    np.testing.assert_array_equal(features, expected)
    assert failed == {}
    np.testing.assert_array_equal(made.available(made.text, PRESENT, Column(IDS)), PRESENT)


@pytest.fixture
def paths(tmp_path, rng):
    """Of four images; there is no second one, and the third is broken."""
    found = []
    for name in ("0.png", "", "2.png", "3.png"):
        path = tmp_path / name
        if name == "2.png":
            path.write_bytes(b"no image")
        elif name:
            PIL.Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        found.append(str(path) if name else "")
    return found


def test_images_are_read_from_their_paths(tmp_path, paths, monkeypatch):
    """All at once or batch by batch, here by one encoder, which needs no weights."""
    made = encoders(tmp_path, image_encoder="pixels:16")
    lazy, none = made.encode(made.image, Column(paths), Column(IDS), PRESENT, "Images")
    assert isinstance(lazy, LazyFeatures) and none == {}
    monkeypatch.setattr(Pixels, "lazy", False)
    features, failed = made.encode(made.image, Column(paths), Column(IDS), PRESENT, "Images")
    assert list(failed) == [2]
    good = np.array([0, 1, 3])
    np.testing.assert_array_equal(features[good], lazy[good])
    assert features[0].any() and not features[1].any() and np.isnan(features[2]).all()


def test_vectors_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(item_encoders, "_CHUNK", 2)
    vectors = np.arange(8, dtype=np.float64).reshape(4, 2)
    np.save(tmp_path / "f.npy", vectors)
    (tmp_path / "f.npy.ids.txt").write_text("b\nc\nd\ne\n", encoding="utf-8")
    made = encoders(tmp_path, image_encoder=f"precomputed:{tmp_path / 'f.npy'}")
    given = np.zeros(4, bool)
    available = made.available(made.image, given, Column(IDS))
    np.testing.assert_array_equal(available, PRESENT)
    features, failed = made.encode(made.image, Column([""] * 4), Column(IDS), available, "Images")
    np.testing.assert_array_equal(features, [[4, 5], [0, 0], [2, 3], [0, 1]])
    assert features.dtype == np.float32 and failed == {}
    vectors[[0, 2]] = [[np.nan, 1], [1, 1e300]]  # b and d; the latter has no float32
    np.save(tmp_path / "f.npy", vectors)
    made = encoders(tmp_path, image_encoder=f"precomputed:{tmp_path / 'f.npy'}")
    _, failed = made.encode(made.image, Column([""] * 4), Column(IDS), available, "Images")
    assert failed == dict.fromkeys(
        (0, 3), "its features hold numbers that are not finite, or larger than 1e+15"
    )
    with pytest.raises(UserError, match=r"lacks 1 of 4 ids. Received: 'a'. It holds"):
        made.encode(made.image, Column([""] * 4), Column(IDS), np.ones(4, bool), "Images")
