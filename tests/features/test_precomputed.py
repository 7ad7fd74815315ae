"""Features from files, by id."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.features import precomputed
from huse_tf.features.precomputed import Precomputed

IDS = ["b.jpg", "a.jpg", "7"]
FEATURES = np.arange(6, dtype=np.float32).reshape(3, 2)


def write_npz(folder):
    np.savez(folder / "f.npz", ids=np.array(IDS), features=FEATURES.astype(np.float64))
    return folder / "f.npz"


def write_npy(folder):
    np.save(folder / "f.npy", FEATURES)
    (folder / "f.npy.ids.txt").write_text("\n".join(IDS) + "\n", encoding="utf-8")
    return folder / "f.npy"


def write_parquet(folder):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        pyarrow.table({"id": IDS, "vector": FEATURES.tolist()}), folder / "f.parquet"
    )
    return folder / "f.parquet"


@pytest.mark.parametrize("write", [write_npz, write_npy, write_parquet])
def test_lookup_by_id(tmp_path, write):
    features = Precomputed(write(tmp_path))
    assert features.feature_spec.shape[0] == 2
    found = features.lookup(iter(["7", "b.jpg", "b.jpg"]))
    np.testing.assert_array_equal(found, [2, 0, 0])
    np.testing.assert_array_equal(features.features[found], [[4, 5], [0, 1], [0, 1]])
    assert features.features.dtype == np.float32
    assert features.holds(iter(["x", "7"])).tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
def test_a_npy_file_stays_on_disk(tmp_path, dtype):
    """It may be larger than memory, so it is not converted as a whole either."""
    path = write_npy(tmp_path)
    np.save(path, FEATURES.astype(dtype))
    features = Precomputed(path).features
    assert isinstance(features, np.memmap) and features.dtype == dtype
    np.testing.assert_array_equal(features, FEATURES)


def test_missing_ids_are_counted_and_shown(tmp_path):
    wanted = ["a.jpg", *(f"x{n}" for n in range(8))]
    with pytest.raises(
        UserError, match=r"lacks 8 of 9 ids. Received: 'x0', .*'x4', \.\.\..*b\.jpg"
    ):
        Precomputed(write_npz(tmp_path)).lookup(wanted)


def test_a_parquet_file_of_several_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(precomputed, "_CHUNK", 2)
    features = Precomputed(write_parquet(tmp_path))
    np.testing.assert_array_equal(features.features[features.lookup(IDS)], FEATURES)


def test_refuses_other_layouts(tmp_path):
    path = tmp_path / "f.npz"
    for arrays in (
        {"ids": np.array(IDS)},
        {"ids": np.array(IDS[:2]), "features": FEATURES},
        {"ids": np.array(IDS), "features": FEATURES[:, 0]},
        {"ids": np.array(IDS, dtype=object), "features": FEATURES},  # Would need a pickle.
    ):
        np.savez(path, **arrays)
        with pytest.raises(UserError, match=r"Expected a \.npz file with the arrays ids"):
            Precomputed(path)
    np.savez(path, ids=np.array(["a", "a", "b"]), features=FEATURES)
    with pytest.raises(UserError, match="1 ids twice"):
        Precomputed(path)
    np.save(write_npy(tmp_path), FEATURES.astype(str))
    with pytest.raises(UserError, match=r"features of the type <U32"):
        Precomputed(tmp_path / "f.npy")
    for other in (tmp_path / "none.npz", tmp_path / "f.csv"):
        with pytest.raises(UserError, match="none of these"):
            Precomputed(other)
