"""Precomputed features from a file, found by item id."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from huse_tf.errors import UserError
from huse_tf.features.packages import require_extra
from huse_tf.spec import FeatureSpec

LAYOUTS = (
    "Expected a .npz file with the arrays ids [n] and features [n, dim], a .npy file of [n, dim] "
    "beside FILE.ids.txt with one id a line, or a .parquet file with the columns id and vector."
)

_CHUNK = 4096  # rows of a .parquet file that are converted at once


class Precomputed:
    """Features by item id.

    Attributes:
        features: [rows, dim] numbers; those of a .npy file stay on disk and are read when indexed.
        feature_spec: shape of one item's features.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Reads a file without pickles, so that files of strangers are safe.

        Raises:
            UserError: the file is missing, has another layout, or holds an id twice.
        """
        self._path = path
        ids, self.features = _read(path)
        if self.features.ndim != 2 or len(ids) != len(self.features):
            raise UserError(
                f"{LAYOUTS} Received: {str(path)!r} with {len(ids)} ids and features of shape "
                f"{self.features.shape}."
            )
        self._rows = {id: row for row, id in enumerate(ids)}
        if len(self._rows) < len(ids):
            raise UserError(f"{str(path)!r} holds {len(ids) - len(self._rows)} ids twice.")
        self.feature_spec = FeatureSpec((self.features.shape[1],))

    def holds(self, ids: Iterable[str]) -> np.ndarray:
        """[n] bool: whether each id is in the file."""
        return np.fromiter((id in self._rows for id in ids), bool)

    def lookup(self, ids: Iterable[str]) -> np.ndarray:
        """[n] int64 row of `features` for each item.

        Args:
            ids: [n] item ids. Iterated over twice if some are missing.

        Raises:
            UserError: some ids are not in the file.
        """
        rows = np.fromiter((self._rows.get(id, -1) for id in ids), np.int64)
        missing = rows < 0
        if missing.any():
            count, examples = missing.sum(), itertools.compress(ids, missing)
            raise UserError(
                f"{str(self._path)!r} lacks {count} of {len(rows)} ids. Received: "
                f"{', '.join(map(repr, itertools.islice(examples, 5)))}{', ...' if count > 5 else ''}. "
                f"It holds ids such as {next(iter(self._rows), None)!r}."
            )
        return rows


def check_precomputed(path: pathlib.Path) -> None:
    """Raises UserError if `path` is missing or has another extension. Reads nothing."""
    if path.suffix not in _READERS or not path.is_file():
        raise UserError(f"{LAYOUTS} Received: {str(path)!r}, which is none of these.")
    if path.suffix == ".npy" and not _ids_of(path).is_file():
        raise UserError(f"{LAYOUTS} Received: {str(path)!r} without {_ids_of(path).name!r}.")
    if path.suffix == ".parquet":
        require_extra("pyarrow", "A Parquet file", "parquet")


def _read(path: pathlib.Path) -> tuple[list[str], np.ndarray]:
    """([n] ids, [n, dim] numbers)."""
    check_precomputed(path)
    try:
        ids, features = _READERS[path.suffix](path)
    except (KeyError, ValueError, OSError) as error:
        raise UserError(f"{LAYOUTS} Received: {str(path)!r}: {error}") from error
    if not np.can_cast(features.dtype, np.float32, "same_kind"):
        raise UserError(
            f"{LAYOUTS} Received: {str(path)!r} with features of the type {features.dtype}."
        )
    return [str(id) for id in ids], features


def _read_npz(path: pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["ids"].tolist(), np.asarray(arrays["features"], np.float32)


def _read_npy(path: pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    ids = _ids_of(path).read_text(encoding="utf-8").splitlines()
    return ids, np.load(path, mmap_mode="r", allow_pickle=False)


def _ids_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".ids.txt")


def _read_parquet(path: pathlib.Path) -> tuple[Sequence[str], np.ndarray]:
    import pyarrow.parquet  # optional: the extra huse_tf[parquet]

    ids, vectors = [], []
    # In pieces, because a row as a list of Python numbers takes many times its bytes.
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_CHUNK, columns=["id", "vector"]):
            ids += batch["id"].to_pylist()
            vectors.append(np.array(batch["vector"].to_pylist(), np.float32))
    return ids, np.concatenate(vectors)


_READERS = {".npz": _read_npz, ".npy": _read_npy, ".parquet": _read_parquet}
