"""Measuring a trained run on a split, or on another catalogue, and reporting it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Mapping

import keras

from huse_tf import config as configs
from huse_tf import keys, seals
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.frozen_features import frozen_retrieval
from huse_tf.evaluation.measure import measure
from huse_tf.evaluation.pairs import scores_pairs
from huse_tf.evaluation.report import write_report
from huse_tf.evaluation.retrieval_tasks import FROZEN
from huse_tf.evaluation.summary import summary_table
from huse_tf.jobs.checks import check_measuring
from huse_tf.jobs.export import export_lines
from huse_tf.jobs.measure import measure_split, predicted
from huse_tf.jobs.report_data import known_figures, make_report, told_known
from huse_tf.jobs.run_data import Dataset, load_data, load_other_catalogue
from huse_tf.jobs.runs import trained_model, versions
from huse_tf.locks import locked
from huse_tf.run_folder import RunFolder
from huse_tf.training.loop import read_history


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        metrics: of the test items, by metric path.
        report: the HTML page.
        export: folder of the exported model, or None.
        seconds: how long it took.
        note: what else is to be known of the figures.
    """

    metrics: Mapping[str, float]
    report: pathlib.Path
    export: pathlib.Path | None
    seconds: float
    note: str = ""

    def summary(self) -> str:
        """A short table of results, then where things lie."""
        lines = [summary_table(self.metrics), "", f"Report  {self.report}"]
        if self.note:
            lines.insert(0, f"{self.note}\n")
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
    """Measures the run in `folder`, and writes `metrics.json` and `report.html` into `output`.

    Args:
        folder: of a trained run.
        config: its settings, perhaps with other cut-offs or another catalogue.
        split: which side of the run's own split.
        other_catalogue: whether `config` names another catalogue, which is to be measured.
        include_known: whether also those of its items that the run was trained or tuned on.
        output: where to write. Default: `folder`.
    """
    began = time.monotonic()
    run, target = RunFolder(folder), RunFolder(output or folder)
    elsewhere = target.path.resolve() != run.path.resolve()
    if other_catalogue and not elsewhere:
        raise UserError(
            "The figures of another catalogue would replace the run's own. Expected --output=FOLDER."
        )
    if include_known and not other_catalogue:
        raise UserError(
            "--include_known measures items of another catalogue that the run knows. Expected --catalogue "
            "beside it. The items of its own are measured by --split."
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
    """Measures one split with the fusion weight of the validation split, and writes all files.

    Args:
        model, dataset, config: of the run.
        run: its folder.
        output: receives `metrics.json` and `report.html`.
        split: which items.
    """
    began = time.monotonic()
    items = dataset.split(split)[0]
    if items.empty:
        raise UserError(f"There are no {split} items to measure.")
    before = run.read_json(run.metrics)
    weight = before[keys.VALIDATION].get("classification/fusion_weight")
    predictions = None
    if scores_pairs(model):
        figures, undefined = measure_split(model, dataset, config, split)
    else:
        answers = predicted(model, dataset, config, split, weight)
        predictions = answers[0]
        figures, undefined = measure(*answers)
        features = dataset.split(split)[1]
        frozen, _ = frozen_retrieval(features, items, dataset.taxonomy, config.evaluation)
        figures |= {f"{FROZEN}/{path}": value for path, value in frozen.items()}
    own = output.path.resolve() == run.path.resolve()
    kept = before if own else {keys.VALIDATION: before[keys.VALIDATION]}
    known = {} if dataset.known is None else {"known": known_figures(dataset)}
    seals.write_json(output.metrics, {**kept, split: figures, "undefined": undefined, **known})
    history = read_history(run)
    report = make_report(
        config, dataset, items, predictions, figures, undefined, history, versions()
    )
    write_report(output.report, report)
    note = "" if dataset.known is None else told_known(dataset)
    return Result(figures, output.report, None, time.monotonic() - began, note)
