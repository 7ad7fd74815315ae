"""Reads and checks class distances from a user's file."""

from __future__ import annotations

import collections
import csv
import pathlib
from collections.abc import Sequence

import numpy as np

from huse_tf.data.classes.taxonomy import ClassPath, distinct_ends, path_name
from huse_tf.errors import UserError

_TOLERANCE = 1e-5  # of symmetry and of the diagonal, for distances that were rounded
_MAX_LISTED = 5  # classes that an error names


def read_distances(file: pathlib.Path, paths: Sequence[ClassPath]) -> np.ndarray:
    """Reads the distances of K classes from a file.

    Args:
        file: `.npy`: [K, K] numbers, classes in the order of their labels. `.csv`: class names in the
            first row and in the first column, in any order. A name is the class path ("home<chairs")
            or its shortest unique end ("chairs"). Further classes in the file are ignored.
        paths: [K] distinct class paths, in the order of their labels.

    Returns:
        [K, K] float64: finite, at least 0, symmetric to 1e-5, and 0 to 1e-5 on the diagonal.

    Raises:
        UserError: the file does not hold such distances; the message names the bad entry.
    """
    readers = {".npy": _read_npy, ".csv": _read_csv}
    if file.suffix not in readers:
        raise UserError(
            f"Expected a class graph in a .npy or .csv file. Received: {str(file)!r}. "
            "Change --class_graph."
        )
    if not file.is_file():
        raise UserError(f"The class graph {str(file)!r} is missing. Change --class_graph.")
    distances = readers[file.suffix](file, paths)
    _check(distances, list(map(path_name, paths)), file)
    return distances


def _read_npy(file: pathlib.Path, paths: Sequence[ClassPath]) -> np.ndarray:
    try:
        distances = np.lib.format.open_memmap(file, mode="r")  # reads the shape, not the numbers
    except ValueError as error:
        raise UserError(f"{file} is not a .npy file of numbers: {error}") from error
    size = len(paths)
    if distances.shape != (size, size) or distances.dtype.kind not in "fiu":
        raise UserError(
            f"{file}: expected [{size}, {size}] real numbers, a row and a column for each class. "
            f"Received: {list(distances.shape)} of {distances.dtype}."
        )
    return np.array(distances, np.float64)


def _read_csv(file: pathlib.Path, paths: Sequence[ClassPath]) -> np.ndarray:
    columns, rows = _table(file)
    names = _names_in(columns, paths, file)
    distances = np.empty((len(names), len(names)))
    for row, name in enumerate(names):
        cells = [rows[name][columns[other]] for other in names]
        for column, cell in enumerate(cells):
            try:
                distances[row, column] = float(cell)
            except ValueError as error:
                raise UserError(
                    f"{file}, row {name!r}, column {names[column]!r}: expected a number. "
                    f"Received: {cell!r}."
                ) from error
    return distances


def _table(file: pathlib.Path) -> tuple[dict[str, int], dict[str, list[str]]]:
    """(name of a column -> its index, name of a row -> its cells)."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            header, *body = [line for line in csv.reader(lines, strict=True) if line] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not a CSV table in UTF-8: {error}") from error
    for cells in body:
        if len(cells) != len(header):
            raise UserError(
                f"{file}, row {cells[0]!r}: expected {len(header)} cells, as in the first row. "
                f"Received: {len(cells)}."
            )
    columns, rows = header[1:], [cells[0] for cells in body]
    for what, names in (("row", rows), ("column", columns)):
        twice = [name for name, count in collections.Counter(names).items() if count > 1]
        if twice:
            raise UserError(f"{file} has the {what} {twice[0]!r} twice. Expected one per class.")
    odd = sorted(set(rows) ^ set(columns))
    if odd:
        there, lacking = ("row", "column") if odd[0] in rows else ("column", "row")
        raise UserError(f"{file} has a {there} for {odd[0]!r}, but no {lacking}. Expected both.")
    return (
        {name: place for place, name in enumerate(columns)},
        dict(zip(rows, (cells[1:] for cells in body), strict=True)),
    )


def _names_in(columns: dict[str, int], paths: Sequence[ClassPath], file: pathlib.Path) -> list[str]:
    """[K] the name of each class in the table."""
    names, missing = [], []
    for path, end in zip(paths, distinct_ends(paths), strict=True):
        name = next((n for n in (path_name(path), path_name(end)) if n in columns), None)
        if name is None:
            missing.append(path_name(path))
        else:
            names.append(name)
    if missing:
        raise UserError(
            f"{file} lacks {len(missing)} of {len(paths)} classes: "
            f"{', '.join(missing[:_MAX_LISTED])}{' …' if len(missing) > _MAX_LISTED else ''}. "
            "Expected a row and a column for each class of the catalogue."
        )
    return names


def _check(distances: np.ndarray, names: Sequence[str], file: pathlib.Path) -> None:
    rules = {
        "is not finite. Expected a number": ~np.isfinite(distances),
        "is negative. Expected at least 0": distances < 0,
        "is a class's distance to itself. Expected 0": (
            np.eye(len(names), dtype=bool) & (distances > _TOLERANCE)
        ),
    }
    for rule, broken in rules.items():
        if broken.any():
            row, column = np.argwhere(broken)[0]
            raise UserError(
                f"{file}: the distance of {names[row]!r} and {names[column]!r} {rule}. "
                f"Received: {distances[row, column]}."
            )
    broken = np.abs(distances - distances.T) > _TOLERANCE
    if broken.any():
        row, column = np.argwhere(broken)[0]
        raise UserError(
            f"{file} is not symmetric: {names[row]!r} to {names[column]!r} is "
            f"{distances[row, column]}, back it is {distances[column, row]}. Expected the same."
        )
