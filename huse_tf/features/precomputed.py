"""Features that were made elsewhere, found by the id of an item."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

from huse_tf.errors import UserError
from huse_tf.methods.base import FeatureSpec

LAYOUTS = (
    "Expected a .npz file with the arrays ids [n] and features [n, dim], a .npy file of [n, dim] "
    "beside FILE.ids.txt with one id a line, or a .parquet file with the columns id and vector."
)


class Precomputed:
    """Features by item id.

    Attributes:
        feature_spec: shape of one item's features.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Reads a file; no pickles, so it can come from anyone.

        Raises:
            UserError: the file is missing, of another layout, or holds an id twice.
        """
        self._path = path
        ids, self._features = _read(path)
        if self._features.ndim != 2 or len(ids) != len(self._features):
            raise UserError(
                f"{LAYOUTS} Received: {str(path)!r} with {len(ids)} ids and features of shape "
                f"{self._features.shape}."
            )
        self._rows = {id: row for row, id in enumerate(ids)}
        if len(self._rows) < len(ids):
            raise UserError(f"{str(path)!r} holds {len(ids) - len(self._rows)} ids twice.")
        self.feature_spec = FeatureSpec((self._features.shape[1],))

    def holds(self, ids: Sequence[str]) -> np.ndarray:
        """[n] bool: which of the ids are in the file."""
        return np.array([id in self._rows for id in ids], bool)

    def lookup(self, ids: Sequence[str]) -> np.ndarray:
        """The features of items.

        Args:
            ids: [n], such as the paths of pictures in a catalogue.

        Returns:
            [n, dim] float32.

        Raises:
            UserError: some ids are not in the file.
        """
        missing = [id for id in ids if id not in self._rows]
        if missing:
            raise UserError(
                f"{str(self._path)!r} lacks {len(missing)} of {len(ids)} ids. Received: "
                f"{', '.join(map(repr, missing[:5]))}{', ...' if len(missing) > 5 else ''}. It holds "
                f"ids such as {next(iter(self._rows), None)!r}."
            )
        return self._features[[self._rows[id] for id in ids]]


def _read(path: pathlib.Path) -> tuple[list[str], np.ndarray]:
    """([n] ids, [n, dim] float32)."""
    readers = {".npz": _read_npz, ".npy": _read_npy, ".parquet": _read_parquet}
    if path.suffix not in readers or not path.is_file():
        raise UserError(f"{LAYOUTS} Received: {str(path)!r}, which is none of these.")
    try:
        ids, features = readers[path.suffix](path)
        return [str(id) for id in ids], np.asarray(features, np.float32)
    except (KeyError, ValueError, OSError) as error:
        raise UserError(f"{LAYOUTS} Received: {str(path)!r}: {error}") from error


def _read_npz(path: pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["ids"].tolist(), arrays["features"]


def _read_npy(path: pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    ids = path.with_name(path.name + ".ids.txt").read_text(encoding="utf-8").splitlines()
    return ids, np.load(path, allow_pickle=False)


def _read_parquet(path: pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            "Parquet files need the package pyarrow. Run: pip install 'huse_tf[parquet]'."
        ) from error
    table = pyarrow.parquet.read_table(path, columns=["id", "vector"])
    vectors = table["vector"].to_pylist()
    return table["id"].to_pylist(), np.array(vectors, np.float32)
