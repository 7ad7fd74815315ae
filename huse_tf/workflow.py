"""The whole job, step by step: what the commands do, for use from Python."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Mapping
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from huse_tf import config as configs
from huse_tf import dataset as datasets
from huse_tf import files, keys, seals
from huse_tf.agreement import (
    check_export,
    check_measuring,
    check_run_encoders,
    check_training,
    export_home,
    run_dir,
    with_monitor,
)
from huse_tf.config import Config, ExportConfig
from huse_tf.data.chosen import Chosen
from huse_tf.data.pipeline import Change
from huse_tf.data.records import Source
from huse_tf.errors import UserError
from huse_tf.evaluation.frozen_features import frozen_retrieval, nearest_neighbours
from huse_tf.evaluation.measure import final_fusion_weight, measure, predict
from huse_tf.evaluation.pairs import PairFigures, measure_pair_scorer, scores_pairs
from huse_tf.evaluation.per_query import QueryFigures, of_products, per_query
from huse_tf.evaluation.report import write_report
from huse_tf.evaluation.retrieval_tasks import FROZEN
from huse_tf.evaluation.summary import summary_table
from huse_tf.features.encoder import Encoder
from huse_tf.features.run_encoders import RunEncoders
from huse_tf.locks import locked
from huse_tf.rehearsal import Measurable, rehearse
from huse_tf.reporting import known_figures, make_report, told_known
from huse_tf.run_files import CONFIG, FINGERPRINT, HISTORY, METRICS, MODEL, read_json
from huse_tf.run_folder import is_trained, run_folder, trained_model, versions
from huse_tf.serving.c_library import find_library
from huse_tf.serving.check import sentence
from huse_tf.serving.export import export_model
from huse_tf.serving.pair_scorer import export_pair_scorer
from huse_tf.serving.versions import alone_in, next_version
from huse_tf.training.loop import fit, read_history
from huse_tf.training.mismatches import Mismatch, MismatchQueries
from huse_tf.training.text_changes import FieldDropout, TokenDropout
from huse_tf.training.trainer import Trainer
from huse_tf.training.warm_start import copy_weights


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


def train_run(config: Config, source: Source | None = None) -> Result:
    """Prepares the data, trains, evaluates on the test side, reports and exports.

    A run that lies unfinished in `config.training.run_dir` goes on where it stood.

    Args:
        config: all settings.
        source: the rows of the catalogue, if they come from Python (`data.readers.dataframe`,
            `data.readers.dataset`).

    Raises:
        UserError: for whatever the user can mend; `training.loop.Stopped` after an orderly stop.
    """
    began = time.monotonic()
    config = with_monitor(config)
    with locked(run_dir(config), "--run_dir"):
        folder, dataset, model = train_model(config, source)
        result = _evaluate(model, dataset, config, folder, folder, keys.TEST)
        export = export_run(folder, config.export, again=False)
    return dataclasses.replace(result, export=export, seconds=time.monotonic() - began)


def train_model(
    config: Config, source: Source | None = None, reading: datasets.Reading | None = None
) -> tuple[pathlib.Path, datasets.Dataset, keras.Model]:
    """Prepares the data and trains; returns the run's folder, the data and the best model.

    The caller holds the run's folder (`locks.locked`), so that no other process trains in it.

    Args:
        config, source: as for `train_run`.
        reading: the catalogue, if it was read already (`dataset.read`), and the run rehearsed
            (`rehearse_run`).
    """
    # Equal seeds give equal weights only with ops that add up in a fixed order.
    tf.config.experimental.enable_op_determinism()
    config = with_monitor(config)
    check_training(config, given=source is not None or reading is not None)
    folder = run_folder(config)
    encoders = RunEncoders(config.features)
    if reading is None:
        rehearse_run(config, encoders)
    dataset = datasets.prepare(config, folder, source, reading, encoders)
    for side in (keys.VALIDATION, keys.TEST):
        if side not in dataset.sides:
            raise UserError(
                f"There are no {side} items. Expected some in --split_column={config.data.split_column}."
            )
    configs.save(config, folder)
    files.write_json(folder / "versions.json", versions())
    _log_data(dataset)

    def build() -> Trainer:
        method = config.method
        adjust = config.training.class_balance == "logits"
        objective = method.build_objective(dataset.spec, adjust_logits=adjust)
        return Trainer(method.build_model(dataset.spec), objective, config.training.clip_norm)

    def validate(model: keras.Model) -> dict[str, float]:
        return measure_side(model, dataset, config, keys.VALIDATION, quick=True)[0]

    method = config.method
    trained = dataset.features_of(keys.TRAIN)
    _check_pairs(config, trained)
    changes = [*_text_changes(config, dataset, folder), *method.changes(dataset.spec, trained)]
    for change in changes:
        if isinstance(change, (Mismatch, MismatchQueries)):
            logging.info(change.givers.told())

    def adapt(model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        method.adapt(model, features)
        if config.training.start_from:
            _start_from(pathlib.Path(config.training.start_from), model, folder)

    if is_trained(folder):
        logging.info("This run is trained to its end.")
        model = trained_model(folder)
    else:
        model = fit(build, trained, validate, config.training, folder, changes, adapt, method.refit)
    weight = None
    if not scores_pairs(model):
        items, features = dataset.side(keys.VALIDATION)
        weight = final_fusion_weight(predict(model, features, dataset.spec.multi_label), items)
    figures, _ = measure_side(model, dataset, config, keys.VALIDATION, weight, quick=True)
    seals.write_json(folder / METRICS, {keys.VALIDATION: figures})
    return folder, dataset, model


def rehearse_run(config: Config, encoders: RunEncoders) -> None:
    """Raises UserError where a run would be refused for its settings (`rehearsal`)."""

    def measured(model: keras.Model, data: Measurable) -> Mapping[str, float]:
        return measure_side(model, data, config, keys.VALIDATION, quick=True)[0]

    rehearse(config, encoders, measured)


def _check_pairs(config: Config, trained: Mapping[str, Any]) -> None:
    if not config.method.needs_pairs:
        return
    complete = np.asarray(trained[keys.IMAGE_MASK]) * np.asarray(trained[keys.TEXT_MASK])
    if not complete.any():
        raise UserError(
            f"--method={config.method.name} learns from items with both image and text, and no training "
            "item has both. Expected some, or a method with a loss of each modality, such as huse."
        )


def _start_from(other: pathlib.Path, model: keras.Model, folder: pathlib.Path) -> None:
    """Copies weights of the run in `other`; refused if that knows other items, or parted them otherwise."""
    source = trained_model(other)
    there, here = (read_json(each / FINGERPRINT) for each in (other, folder))
    if there != here:
        raise UserError(
            f"--start_from: the run in {str(other)!r} had other items or another split, so it may have "
            "been trained on what this one holds out. Expected the same catalogue, classes and "
            f"--split_seed. Received: {there['items']} items in {there['classes']} classes there, "
            f"{here['items']} in {here['classes']} here."
        )
    copy_weights(source, model)


def _text_changes(config: Config, dataset: datasets.Dataset, folder: pathlib.Path) -> list[Change]:
    """What the settings do to the texts of training batches."""
    changes: list[Change] = []
    training = config.training
    if training.field_dropout:
        encoder = cast(Encoder, RunEncoders.of_run(config.features, folder).text)
        fields = Chosen(dataset.table["text_fields"], dataset.chosen(keys.TRAIN))
        separator = config.data.text_separator
        changes.append(FieldDropout(training.field_dropout, list(fields), encoder, separator))
    if training.token_dropout:
        changes.append(TokenDropout(training.token_dropout))
    return changes


def measure_side(
    model: keras.Model,
    dataset: Measurable,
    config: Config,
    side: str,
    fusion_weight: float | None = None,
    quick: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """The figures of one side of a dataset; see `evaluation.measure.measure`.

    Of a pair scorer those of `evaluation.pairs.measure_pair_scorer`, without the ranks if `quick`.
    """
    if scores_pairs(model):
        pairs = _measure_pairs(model, dataset, config, side, quick)
        return dict(pairs.metrics), dict(pairs.undefined)
    return measure(*_answers(model, dataset, config, side, fusion_weight))


def measure_queries(
    model: keras.Model,
    dataset: datasets.Dataset,
    config: Config,
    side: str,
    fusion_weight: float | None,
) -> tuple[dict[str, float], dict[str, QueryFigures]]:
    """The figures of one side as of `measure_side`, and those of its single queries.

    Those of the frozen features are among them, under `frozen_features`: retrieval, and the accuracy of
    the nearest training items where training met the classes.
    """
    if scores_pairs(model):
        pairs = _measure_pairs(model, dataset, config, side)
        return dict(pairs.metrics), of_products(pairs.queries, dataset.side(side)[0])
    answers = _answers(model, dataset, config, side, fusion_weight)
    figures, queries = measure(*answers)[0], per_query(*answers)
    items, features = dataset.side(side)
    frozen, asked = frozen_retrieval(features, items, dataset.taxonomy, config.evaluation)
    if side != keys.UNSEEN:
        neighbours = nearest_neighbours(dataset.features_of(keys.TRAIN), features)
        frozen |= {path: float(hits.mean()) for path, (_, hits) in neighbours.items()}
        asked |= of_products(neighbours, items)
    figures |= {f"{FROZEN}/{path}": value for path, value in frozen.items()}
    queries |= {f"{FROZEN}/{path}": value for path, value in asked.items()}
    return figures, queries


def _measure_pairs(
    model: keras.Model, dataset: Measurable, config: Config, side: str, quick: bool = False
) -> PairFigures:
    """Of a pair scorer; of products and queries, if its texts begin with these."""
    items, features = dataset.side(side)
    pieces = dataset.spec.text.pieces
    query_end = pieces.end if config.method.scores_queries and pieces is not None else None
    return measure_pair_scorer(model, features, items, config.evaluation, quick, query_end)


def _answers(
    model: keras.Model,
    dataset: Measurable,
    config: Config,
    side: str,
    fusion_weight: float | None,
) -> tuple[Any, ...]:
    """The arguments of `measure` and `per_query`: the predictions of one side, and what is true of it."""
    items, features = dataset.side(side)
    predictions = predict(model, features, dataset.spec.multi_label, config.fused_modalities)
    seen, names_unseen = _seen_classes(dataset, side), config.method.names_unseen_classes
    known = items, dataset.taxonomy, config.evaluation, fusion_weight, seen, names_unseen
    return predictions, *known


def _seen_classes(dataset: Measurable, side: str) -> np.ndarray | None:
    """[K] bool, whether training met the class, on the side of those that it did not."""
    shares = dataset.spec.class_shares
    return None if side != keys.UNSEEN or shares is None else shares > 0


def evaluate_run(
    folder: pathlib.Path | str,
    config: Config,
    *,
    split: str = keys.TEST,
    other_catalogue: bool = False,
    include_known: bool = False,
    output: pathlib.Path | str | None = None,
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
    folder = pathlib.Path(folder)
    output = pathlib.Path(output or folder)
    if other_catalogue and output.resolve() == folder.resolve():
        raise UserError(
            "The figures of another catalogue would replace the run's own. Expected --output=FOLDER."
        )
    if include_known and not other_catalogue:
        raise UserError(
            "--include_known measures items of another catalogue that the run knows. Expected --catalogue "
            "beside it. The items of its own are measured by --split."
        )
    check_measuring(config, configs.load(folder), split, other_catalogue)
    model = trained_model(folder)
    with contextlib.ExitStack() as held:
        if other_catalogue or output.resolve() != folder.resolve():
            held.enter_context(locked(output, "--output"))
        if other_catalogue:
            dataset = datasets.prepare_other(config, folder, output, include_known)
        else:
            held.enter_context(locked(folder, "--run_dir"))
            dataset = datasets.prepare(config, folder)
        result = _evaluate(model, dataset, config, folder, output, split)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def export_run(
    folder: pathlib.Path | str, config: ExportConfig, *, again: bool = True
) -> pathlib.Path:
    """Exports the run in `folder`.

    Args:
        folder: of a trained run.
        config: where to.
        again: whether to write another version where the newest one holds this very model.

    Returns:
        The folder of the version.

    Raises:
        UserError: the run is not trained, the version exists, or it would not answer in a server.
    """
    folder = pathlib.Path(folder)
    run = configs.load(folder)
    check_export(config, folder)
    check_run_encoders(run.features)
    model = trained_model(folder)
    encoders = RunEncoders.of_run(run.features, folder)
    metrics = read_json(folder / METRICS)
    home = export_home(config, folder)
    image = encoders.image if isinstance(encoders.image, Encoder) else None
    text = encoders.text if isinstance(encoders.text, Encoder) else None
    card = {
        "model_sha256": files.sha256_file(folder / MODEL),
        "config": read_json(folder / CONFIG),
        "data": read_json(folder / FINGERPRINT),
        "metrics": metrics.get(keys.TEST, {}),
    }
    checked = config.export_check and _can_check()
    taxonomy = datasets.run_taxonomy(folder)
    with alone_in(home):  # two exports at once get different versions
        newest = home / str(next_version(home) - 1)
        if not again and not config.export_version and _holds(newest, card["model_sha256"]):
            return newest
        version = home / str(config.export_version or next_version(home))
        if scores_pairs(model):
            return export_pair_scorer(model, image, text, version, card, checked)
        return export_model(
            model,
            image,
            text,
            taxonomy,
            metrics[keys.VALIDATION].get("classification/fusion_weight"),
            version,
            multi_label=run.data.multi_label,
            card=card,
            checked=checked,
        )


def export_lines(version: pathlib.Path) -> list[str]:
    """Where an exported model lies, and whether it answers as a server would have it answer."""
    record = files.read_json(version / "card.json")["serving"].get("check")
    return [f"Export  {version}", f"Served  {sentence(record)}"]


def _can_check() -> bool:
    """Whether this machine has what the check needs; elsewhere exports are written without."""
    try:
        find_library()
    except UserError as error:
        logging.warning("The export is not checked. %s", error)
        return False
    return True


def _holds(version: pathlib.Path, model_sha256: Any) -> bool:
    card = version / "card.json"
    try:
        return files.read_json(card).get("model_sha256") == model_sha256
    except (OSError, ValueError, AttributeError):  # not there, or damaged
        return False


def _log_data(dataset: datasets.Dataset) -> None:
    sides = dataset.sides
    logging.info(
        "%d items of %d products in %d classes; %s.",
        len(dataset.table),
        dataset.products,
        len(dataset.taxonomy.classes),
        ", ".join(
            f"{side} {sides.get(side, 0)}" for side in (keys.TRAIN, keys.VALIDATION, keys.TEST)
        ),
    )
    if dataset.train_only:
        names = ", ".join(dataset.taxonomy.names[label] for label in dataset.train_only)
        logging.warning(
            "Too few separate products to hold any out, so no figure speaks of: %s.", names
        )


def _evaluate(
    model: keras.Model,
    dataset: datasets.Dataset,
    config: Config,
    folder: pathlib.Path,
    output: pathlib.Path,
    split: str,
) -> Result:
    """Measures one side with the fusion weight of the validation side, and writes all files."""
    began = time.monotonic()
    items = dataset.side(split)[0]
    if items.empty:
        raise UserError(f"There are no {split} items to measure.")
    before = read_json(folder / METRICS)
    weight = before[keys.VALIDATION].get("classification/fusion_weight")
    predictions = None
    if scores_pairs(model):
        figures, undefined = measure_side(model, dataset, config, split)
    else:
        answers = _answers(model, dataset, config, split, weight)
        predictions = answers[0]
        figures, undefined = measure(*answers)
        features = dataset.side(split)[1]
        frozen, _ = frozen_retrieval(features, items, dataset.taxonomy, config.evaluation)
        figures |= {f"{FROZEN}/{path}": value for path, value in frozen.items()}
    kept = (
        before
        if output.resolve() == folder.resolve()
        else {keys.VALIDATION: before[keys.VALIDATION]}
    )
    known = {} if dataset.known is None else {"known": known_figures(dataset)}
    seals.write_json(output / METRICS, {**kept, split: figures, "undefined": undefined, **known})
    history = read_history(folder / HISTORY)
    report = make_report(
        config, dataset, items, predictions, figures, undefined, history, versions()
    )
    write_report(output / "report.html", report)
    note = "" if dataset.known is None else told_known(dataset)
    return Result(figures, output / "report.html", None, time.monotonic() - began, note)
