"""The folder of a run: what its files are called, and what to do about a damaged one."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

from huse_tf import seals


class RunFolder(os.PathLike[str]):
    """The only place that names the files of a run.

    An evaluation that writes elsewhere writes files of the same names, into a folder of this kind.

    Attributes:
        path: the folder, which need not exist.
        config: all settings, as JSON.
        flags: all settings, good as a `--flagfile`.
        versions: of the packages that results depend on.
        fingerprint: of the data, with counts.
        items, rejected: tables of the usable rows with their splits, and of the others with the reasons.
        known: of another catalogue, the items that the run was trained or tuned on.
        taxonomy: the classes in the order of their ids.
        class_distances: [K, K] float32.
        text_encoder: what the text encoder learned.
        checkpoints: a folder `step-N` for each checkpoint.
        history: a line an epoch.
        timing: seconds of training.
        tensorboard: its event files.
        model: the model of the best epoch.
        metrics: by split and path.
        report: the HTML page.
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

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_trained(self) -> bool:
        """Whether the run is trained to its end; its checkpoints are then needed no more."""
        return self.metrics.exists()

    @contextlib.contextmanager
    def reading(self, path: pathlib.Path) -> Iterator[None]:
        """Wraps the reading of one of the files.

        Raises:
            UserError: the file is missing or damaged; says what to do.
        """
        with seals.reading(path, self._repair(path)):
            yield

    def read_json(self, path: pathlib.Path) -> Any:
        """The content of one of the JSON files; raises as `reading` does."""
        return seals.read_json(path, self._repair(path))

    def _repair(self, path: pathlib.Path) -> str:
        # These come of training alone. All others are made anew from the catalogue, the settings and these.
        if path in (self.history, self.timing, self.model):
            return f"Put back a copy of it, or delete the folder {str(self)!r} to train anew."
        command = ["python", "-m", "huse_tf.train", f"--flagfile={self.flags}"]
        return (
            "Delete it if it is there; this makes it anew: "
            f"{shlex.join([*command, f'--run_dir={self}'])}"
        )
