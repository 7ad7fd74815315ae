"""The folder of a run: the names of its files, and the advice for a damaged file."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

from huse_tf import seals


class RunFolder(os.PathLike[str]):
    """The paths of all files of a run. No other class names them.

    The output folder of an evaluation is a folder of this kind too.

    Attributes:
        path: the folder. It need not exist.
        config: all settings as JSON.
        flags: all settings as a `--flagfile`.
        versions: versions of the packages that results depend on.
        fingerprint: hash of the data, with the numbers of items and classes.
        items: table of the usable rows, with their splits.
        rejected: table of the rejected rows, with the reasons.
        known: table of another catalogue's items that the run was trained or tuned on.
        taxonomy: the classes in the order of their ids.
        class_distances: [K, K] float32 distances between classes.
        text_encoder: the learned state of the text encoder.
        checkpoints: folder with one subfolder `step-N` per checkpoint.
        history: one line of metrics per epoch.
        timing: seconds of training.
        tensorboard: folder of the event files.
        model: the model of the best epoch.
        metrics: metrics by split and name.
        report: the HTML report.
        chosen: settings of the method that were chosen on the validation items before training; absent where none are.
        settled: the same, chosen after training.
        serving: what validation items chose for the served model; absent for a pair scorer.
        folds: of a cross-validation, metrics with intervals, and what the folds chose.
        folds_table: the metrics with intervals as a table.
        trained_on: of a model that was trained on all items: numbers of items, epochs and steps.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)
        self.config = self.path / "config.json"
        self.flags = self.path / "flags.txt"
        self.versions = self.path / "versions.json"
        self.fingerprint = self.path / "data.json"
        self.items = self.path / "items.csv"
        self.rejected = self.path / "rejected.csv"
        self.known = self.path / "known.csv"
        self.taxonomy = self.path / "taxonomy.json"
        self.class_distances = self.path / "class_distances.npy"
        self.text_encoder = self.path / "text_encoder.json"
        self.checkpoints = self.path / "checkpoints"
        self.history = self.path / "history.jsonl"
        self.timing = self.path / "timing.json"
        self.tensorboard = self.path / "tensorboard"
        self.model = self.path / "model.keras"
        self.metrics = self.path / "metrics.json"
        self.report = self.path / "report.html"
        self.chosen = self.path / "chosen.json"
        self.settled = self.path / "settled.json"
        self.serving = self.path / "serving.json"
        self.trained_on = self.path / "trained_on.json"
        self.folds = self.path / "folds.json"
        self.folds_table = self.path / "folds.csv"

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_trained(self) -> bool:
        """Whether the run is trained to its end. Then its checkpoints are no longer needed."""
        return self.metrics.exists()

    @property
    def refit(self) -> RunFolder:
        """The folder of the model that was trained again on all items. It is absent until then."""
        return RunFolder(self.path / "refit")

    def fold(self, number: int) -> RunFolder:
        """The folder of the run of one fold, from 1."""
        return RunFolder(self.path / "folds" / str(number))

    @contextlib.contextmanager
    def reading(self, path: pathlib.Path) -> Iterator[None]:
        """Wraps a block that reads one of the files.

        Raises:
            UserError: the file is missing or damaged. The message says what to do.
        """
        with seals.reading(path, self._repair(path)):
            yield

    def read_json(self, path: pathlib.Path) -> Any:
        """Reads one of the JSON files; raises as `reading` does."""
        return seals.read_json(path, self._repair(path))

    def _repair(self, path: pathlib.Path) -> str:
        # Only training writes these files. All others are made again from these, the catalogue and the settings.
        if path in (self.history, self.timing, self.model, self.trained_on):
            return f"Restore a copy of it, or delete the folder {str(self)!r} to train again."
        command = ["python", "-m", "huse_tf.train", f"--flagfile={self.flags}"]
        return (
            "Delete it if it exists; this command makes it again: "
            f"{shlex.join([*command, f'--run_dir={self}'])}"
        )
