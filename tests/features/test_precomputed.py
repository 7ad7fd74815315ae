"""Features from files, by id."""

from __future__ import annotations

import numpy as np
import pytest

from huse_tf.errors import UserError
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
    found = features.lookup(["7", "b.jpg", "b.jpg"])
    np.testing.assert_array_equal(found, [[4, 5], [0, 1], [0, 1]])
    assert found.dtype == np.float32


def test_missing_ids_are_counted_and_shown(tmp_path):
    wanted = ["a.jpg", *(f"x{n}" for n in range(8))]
    with pytest.raises(
        UserError, match=r"lacks 8 of 9 ids. Received: 'x0', .*'x4', \.\.\..*b\.jpg"
    ):
        Precomputed(write_npz(tmp_path)).lookup(wanted)


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
    for other in (tmp_path / "none.npz", tmp_path / "f.csv"):
        with pytest.raises(UserError, match="none of these"):
            Precomputed(other)
