"""Cross-validation: a run for each fold, and what all of them say together."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats

from huse_tf import files, keys, seals
from huse_tf.config import Config
from huse_tf.jobs.serving_choices import read_choices
from huse_tf.run_folder import RunFolder
from huse_tf.training.loop import read_history
from huse_tf.training.monitor import best_row

_LEVEL = 0.95


def fold_config(config: Config, run: RunFolder, number: int) -> Config:
    """The settings of one fold's run, which lies in the folder of the whole run.

    Args:
        config: of the whole run.
        run: its folder.
        number: of the fold, from 1.
    """
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, fold=number),
        training=dataclasses.replace(config.training, run_dir=str(run.fold(number))),
        export=dataclasses.replace(config.export, refit="none"),
    )


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high): the mean over at least two folds and its 95 % interval by Student's t.

    Folds share training items, so the interval is somewhat too narrow (Bengio and Grandvalet 2004).

    Examples:
        Three folds: t = 4.303 and a standard error of .1 / sqrt(3):

        >>> [round(value, 3) for value in interval([0.4, 0.5, 0.6])]
        [0.5, 0.252, 0.748]
    """
    mean, error = float(np.mean(values)), float(scipy.stats.sem(values))
    half = float(scipy.stats.t.ppf((1 + _LEVEL) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def summarize_folds(config: Config, run: RunFolder) -> None:
    """Writes `folds.json` and `folds.csv` from the runs of all folds, which are measured.

    Raises:
        UserError: a file of a fold's run is damaged.
    """
    folds = [run.fold(number) for number in range(1, config.data.folds + 1)]
    measured = [fold.read_json(fold.metrics) for fold in folds]
    tested = [each[keys.TEST] for each in measured]
    metrics: dict[str, Any] = {}
    for path in tested[0]:
        if all(path in each for each in tested):
            values = [each[path] for each in tested]
            mean, low, high = interval(values)
            metrics[path] = {"mean": mean, "low": low, "high": high, "folds": values}
    weights = [each[keys.VALIDATION].get("classification/fusion_weight") for each in measured]
    best = [best_row(read_history(fold), config.training.monitor)["epoch"] for fold in folds]
    found = {
        "metrics": metrics,
        "fusion_weight": None if None in weights else float(np.mean(weights)),
        "epochs": float(np.mean(best)),
        "serving": [dataclasses.asdict(each) for each in map(read_choices, folds) if each],
    }
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(
        ["metric", "mean", "low", "high", *(f"fold_{n}" for n in range(1, len(folds) + 1))]
    )
    for path, row in metrics.items():
        writer.writerow([path, row["mean"], row["low"], row["high"], *row["folds"]])
    files.write_text(run.folds_table, table.getvalue())
    seals.write_json(run.folds, found)


def read_folds(run: RunFolder) -> dict[str, Any] | None:
    """The content of `folds.json`, or None for a run without folds.

    Raises:
        UserError: the file is damaged.
    """
    return run.read_json(run.folds) if run.folds.exists() else None
