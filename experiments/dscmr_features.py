"""Writes the authors' features of DSCMR (MATLAB files) as a catalogue with precomputed features.

    python experiments/dscmr_features.py --source=FOLDER --output=FOLDER

The source holds `train_img.mat`, `train_txt.mat`, `train_img_lab.mat` and the same three of `test_`, each with one
array named like its file: [items, dim] features or [items, 1] labels from 0. The output gets `catalogue.csv`
(item, name, class, split), `image.npz` and `text.npz`. The features come without texts, so an item's name is
its id. One in eight training items of each class, the last ones, becomes a validation item.
"""

from __future__ import annotations

import argparse
import csv
import pathlib

import numpy as np
import scipy.io

from huse_tf.errors import UserError
from huse_tf.files import replacing

MAX_BYTES = 1_000_000_000  # of a file
_SPLITS = ("train", "test")
_VALIDATION = 8


def convert(source: pathlib.Path, output: pathlib.Path) -> None:
    """Writes the catalogue and both files of features.

    Raises:
        UserError: a file is missing, too large, not of MATLAB's format 5, or of another shape.
    """
    labels = {split: read(source, f"{split}_img_lab") for split in _SPLITS}
    ids = {split: [f"{split}-{row}" for row in range(len(labels[split]))] for split in _SPLITS}
    output.mkdir(parents=True, exist_ok=True)
    for kind, name in (("img", "image"), ("txt", "text")):
        parts = [read(source, f"{split}_{kind}") for split in _SPLITS]
        for split, part in zip(_SPLITS, parts, strict=True):
            if len(part) != len(labels[split]) or part.shape[1] != parts[0].shape[1]:
                raise UserError(
                    f"{split}_{kind}.mat does not fit the other files. Expected "
                    f"[{len(labels[split])}, {parts[0].shape[1]}]. Received: {list(part.shape)}. Download "
                    "the files of one data set again."
                )
        with replacing(output / f"{name}.npz") as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                ids=np.array([*ids["train"], *ids["test"]]),
                features=np.concatenate(parts).astype(np.float32),
            )
    with (
        replacing(output / "catalogue.csv") as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["item", "name", "class", "split"])
        for split in _SPLITS:
            classes = labels[split][:, 0].astype(int)
            held_out = last_of_each(classes) if split == "train" else np.zeros(len(classes), bool)
            for item, label, out in zip(ids[split], classes, held_out, strict=True):
                writer.writerow([item, item, label, "validation" if out else split])


def last_of_each(classes: np.ndarray) -> np.ndarray:
    """[items] bool: the last eighth of the items of each class.

    Args:
        classes: [items] class of each item.
    """
    chosen = np.zeros(len(classes), bool)
    for label in np.unique(classes):
        places = np.flatnonzero(classes == label)
        chosen[places[len(places) - len(places) // _VALIDATION :]] = True
    return chosen


def read(source: pathlib.Path, name: str) -> np.ndarray:
    """The array [items, dim] of a file that is named like it."""
    path = source / f"{name}.mat"
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise UserError(
            f"{str(path)!r} cannot be read. Expected a file of at most {MAX_BYTES} bytes. Check --source."
        )
    try:
        array = np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])
        if array.ndim != 2 or array.dtype.kind not in "iuf":
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
    # A damaged file raises errors of many types.
    except Exception as error:
        raise UserError(
            f"{str(path)!r} cannot be read. Expected a MATLAB file (version 5) with the numbers {name} "
            f"[items, dim]. Received: {type(error).__name__}: {error}. Download it again."
        ) from error
    return array


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", required=True, type=pathlib.Path)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        convert(arguments.source, arguments.output)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
