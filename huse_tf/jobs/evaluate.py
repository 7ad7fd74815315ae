"""Measures a trained run on a split, or on another catalogue, and writes the report."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from huse_tf import config as configs
from huse_tf import keys, seals
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.frozen_features import frozen_retrieval
from huse_tf.evaluation.predictions import galleries
from huse_tf.evaluation.report import write_report
from huse_tf.evaluation.serving_choices import calibration_metrics
from huse_tf.evaluation.slices import accuracy_slices
from huse_tf.evaluation.smaller_vectors import smaller_vector_metrics
from huse_tf.evaluation.summary import summary_table
from huse_tf.jobs.checks import check_measuring
from huse_tf.jobs.export import export_lines
from huse_tf.jobs.folds import read_folds
from huse_tf.jobs.measure import MeasuredSplit, measure_split, run_fusion_weight, under_frozen
from huse_tf.jobs.report_data import known_counts, known_sentence, make_report
from huse_tf.jobs.run_data import Dataset, load_data, load_other_catalogue
from huse_tf.jobs.runs import trained_model, versions, with_chosen
from huse_tf.jobs.serving_choices import read_choices
from huse_tf.locks import locked
from huse_tf.run_folder import RunFolder
from huse_tf.training.loop import read_history


@dataclasses.dataclass(frozen=True)
class Result:
    """The metrics of a run, and the files that were written.

    Attributes:
        metrics: of the measured items, by metric path.
        report: the HTML page.
        export: folder of the exported model, or None.
        seconds: duration.
        note: one sentence that the metrics need to be read right, or empty.
        folds: table of the metrics of a cross-validation, or None.
    """

    metrics: Mapping[str, float]
    report: pathlib.Path
    export: pathlib.Path | None
    seconds: float
    note: str = ""
    folds: pathlib.Path | None = None

    def summary(self) -> str:
        """A short table of metrics, then the paths of the files."""
        lines = [summary_table(self.metrics), "", f"Report  {self.report}"]
        if self.note:
            lines.insert(0, f"{self.note}\n")
        if self.folds is not None:
            lines.append(f"Folds   {self.folds}")
        if self.export is not None:
            lines += export_lines(self.export)
        return "\n".join([*lines, f"Took    {self.seconds:.0f} s"])


def evaluate_run(
    folder: str | os.PathLike[str],
    config: Config,
    *,
    split: str = keys.TEST,
    other_catalogue: bool = False,
    include_known: bool = False,
    output: str | os.PathLike[str] | None = None,
) -> Result:
    """Measures the run in `folder`, and writes `metrics.json` and `report.html` to `output`.

    Args:
        folder: of a trained run.
        config: its settings, perhaps with other cut-offs or another catalogue.
        split: name of a split of the run's own catalogue.
        other_catalogue: whether to measure another catalogue, which `config` names.
        include_known: whether to measure also its items that the run was trained or tuned on.
        output: the folder of the two files. Default: `folder`.

    Raises:
        UserError: the settings do not suit the run, there are no items to measure, or a file of the run
            is missing or damaged.
    """
    began = time.monotonic()
    run, target = RunFolder(folder), RunFolder(output or folder)
    elsewhere = target.path.resolve() != run.path.resolve()
    if other_catalogue and not elsewhere:
        raise UserError(
            "The metrics of another catalogue would replace the run's own. Expected --output=FOLDER."
        )
    if include_known and not other_catalogue:
        raise UserError(
            "--include_known measures items of another catalogue that the run was trained or tuned on. "
            "Expected --catalogue too. --split measures items of the run's own catalogue."
        )
    check_measuring(config, configs.load(run), split, other_catalogue)
    model = trained_model(run)
    with contextlib.ExitStack() as held:
        if elsewhere:
            held.enter_context(locked(target.path, "--output"))
        if other_catalogue:
            dataset = load_other_catalogue(config, run, target, include_known)
        else:
            held.enter_context(locked(run.path, "--run_dir"))
            dataset = load_data(config, run)
        result = evaluate(model, dataset, config, run, target, split)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def evaluate(
    model: keras.Model,
    dataset: Dataset,
    config: Config,
    run: RunFolder,
    output: RunFolder,
    split: str,
) -> Result:
    """Measures one split with the fusion weight of the validation split, and writes both files.

    Args:
        model, dataset, config: of the run.
        run: its folder.
        output: the folder of `metrics.json` and `report.html`.
        split: name of the split.

    Raises:
        UserError: the split has no items, or `metrics.json` of the run is missing or damaged.
    """
    began = time.monotonic()
    if split not in dataset.split_sizes:
        raise UserError(f"There are no {split} items to measure.")
    measured = measure_split(model, dataset, config, split, run_fusion_weight(run))
    metrics = dict(measured.metrics)
    choices = (
        None if split == keys.UNSEEN else read_choices(run)
    )  # scores of other classes say nothing there
    if measured.predictions is not None:
        metrics |= under_frozen(frozen_retrieval(measured.features, measured.context)[0])
        if choices is not None:
            metrics |= calibration_metrics(
                choices,
                measured.predictions,
                measured.context.items,
                measured.context.fusion_weight,
                config.export.target_precision,
            )
        found = galleries(measured.predictions, measured.context.items)
        chunk = config.evaluation.query_chunk
        metrics |= smaller_vector_metrics(*found, config.method.prefixes, chunk)
    before = run.read_json(run.metrics)
    own = output.path.resolve() == run.path.resolve()
    kept = before if own else {keys.VALIDATION: before[keys.VALIDATION]}
    known = {} if dataset.known is None else {"known": known_counts(dataset)}
    undefined = dict(measured.undefined)
    slices = {**kept.get("slices", {}), split: _slices(measured, dataset)}
    seals.write_json(
        output.metrics,
        {**kept, split: metrics, "undefined": undefined, "slices": slices, **known},
    )
    measured = dataclasses.replace(measured, metrics=metrics)
    chosen = with_chosen(config, run)
    report = make_report(chosen, dataset, measured, read_history(run), versions(), choices)
    folds = read_folds(run) if own and split == keys.TEST else None
    if folds is not None:
        report = dataclasses.replace(report, folds=folds["metrics"])
    write_report(output.report, report)
    note = "" if dataset.known is None else known_sentence(dataset)
    return Result(metrics, output.report, None, time.monotonic() - began, note)


def _slices(measured: MeasuredSplit, dataset: Dataset) -> list[dict[str, Any]]:
    """`accuracy_slices` as JSON; [] for a pair scorer."""
    if measured.predictions is None:
        return []
    train = dataset.chosen(keys.TRAIN)
    classes = len(dataset.taxonomy.classes)
    sizes = None
    if train.any():  # another catalogue has no training items
        labels = dataset.features.get(keys.LABELS)
        sizes = (
            np.bincount(dataset.features[keys.LABEL][train], minlength=classes)
            if labels is None
            else labels[train].sum(axis=0)
        )
    return [
        each.to_json() for each in accuracy_slices(measured.predictions, measured.context, sizes)
    ]
