"""The files of a run folder that are read again: their names, and what to do about a damaged one."""

from __future__ import annotations

import contextlib
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

from huse_tf import seals

CONFIG = "config.json"
FLAGS = "flags.txt"
FINGERPRINT = "data.json"
TAXONOMY = "taxonomy.json"
CLASS_DISTANCES = "class_distances.npy"
TEXT_ENCODER = "text_encoder.json"
ITEMS = "items.csv"
CHECKPOINTS = "checkpoints"
HISTORY = "history.jsonl"
TIMING = "timing.json"
MODEL = "model.keras"
METRICS = "metrics.json"

# They come of training alone; all others are made anew from the catalogue, the settings and these.
_OF_TRAINING = {HISTORY, TIMING, MODEL}


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
    """Around whatever reads a file of a run.

    Raises:
        UserError: the file is missing or damaged; says what to do.
    """
    with seals.reading(path, _mend(path)):
        yield


def read_json(path: pathlib.Path) -> Any:
    """A JSON file of a run; raises as `reading` does."""
    return seals.read_json(path, _mend(path))


def _mend(path: pathlib.Path) -> str:
    folder = path.parent
    if path.name in _OF_TRAINING:
        return f"Put back a copy of it, or delete the folder {str(folder)!r} to train anew."
    command = ["python", "-m", "huse_tf.train", f"--flagfile={folder / FLAGS}"]
    return (
        "Delete it if it is there; this makes it anew: "
        f"{shlex.join([*command, f'--run_dir={folder}'])}"
    )
