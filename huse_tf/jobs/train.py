"""Trains a run, and measures and exports the trained model."""

from __future__ import annotations

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
from huse_tf import files, keys, seals
from huse_tf.changes.mismatches import Mismatch, MismatchQueries
from huse_tf.changes.text_changes import FieldDropout, TokenDropout
from huse_tf.config import Config
from huse_tf.data.pipeline import Change
from huse_tf.data.table.chosen import Chosen
from huse_tf.data.table.records import Source
from huse_tf.errors import UserError
from huse_tf.evaluation.measure import final_fusion_weight
from huse_tf.evaluation.pairs import scores_pairs
from huse_tf.evaluation.predictions import predict
from huse_tf.evaluation.serving_choices import choose_for_serving
from huse_tf.features.encoder import Encoder
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_training, run_dir, with_monitor
from huse_tf.jobs.evaluate import Result, evaluate
from huse_tf.jobs.export import export_run
from huse_tf.jobs.folds import fold_config, read_folds, summarize_folds
from huse_tf.jobs.measure import measure_split
from huse_tf.jobs.refit import joined_items, plan_refit, with_all_items
from huse_tf.jobs.rehearsal import Measurable, rehearse
from huse_tf.jobs.run_data import Dataset, Reading, load_data
from huse_tf.jobs.runs import open_run, trained_model, versions, with_chosen
from huse_tf.jobs.serving_choices import write_choices
from huse_tf.locks import locked
from huse_tf.methods.base import Method
from huse_tf.run_folder import RunFolder
from huse_tf.settings import flat
from huse_tf.training import backbones
from huse_tf.training.class_balance import features_to_solve
from huse_tf.training.loop import End, Task, fit, read_history
from huse_tf.training.trainer import Trainer
from huse_tf.training.warm_start import copy_weights


def train_run(config: Config, source: Source | None = None) -> Result:
    """Reads the catalogue, trains, measures the test split, writes the report and exports the model.

    A run that was stopped continues where it stopped if the same `config.training.run_dir` is given.

    Args:
        config: all settings.
        source: the rows of the catalogue, if they come from Python (`huse_tf.from_dataframe`,
            `huse_tf.from_dataset`). Default: the file, folder or URL `config.data.catalogue`.

    Returns:
        The metrics of the test split, with the paths of the report and of the export.

    Raises:
        UserError: a setting or the catalogue cannot be used, or the run's folder is in use or damaged.
        Stopped: SIGINT or SIGTERM stopped the run. The same call continues it.

    Examples:
        The bundled catalogue, with the settings that `--flagfile=experiments/home_goods.flags` has:

        >>> import dataclasses
        >>> import huse_tf
        >>> config = huse_tf.Config.from_preset(huse_tf.METHODS["huse"])
        >>> data = dataclasses.replace(
        ...     config.data, catalogue="experiments/home_goods/catalogue.csv"
        ... )
        >>> config = dataclasses.replace(config, data=data)
        >>> print(huse_tf.train_run(config).summary())  # doctest: +SKIP
    """
    began = time.monotonic()
    config = with_monitor(config)
    with locked(run_dir(config), "--run_dir"):
        trained = train_model(config, source)
        run = trained.run
        if config.data.folds and not config.data.fold:
            _cross_validate(config, source, run)
        result = evaluate(trained.model, trained.dataset, config, run, run, keys.TEST)
        if config.export.refit == "all":
            train_again(config, trained.dataset, run)
        export = export_run(run, config.export, again=False)
    folds = run.folds_table if run.folds.exists() else None
    seconds = time.monotonic() - began
    return dataclasses.replace(result, export=export, folds=folds, seconds=seconds)


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run whose training has ended.

    Attributes:
        run: its folder.
        dataset: all items of the run, with their features.
        model: the model of the best epoch.
    """

    run: RunFolder
    dataset: Dataset
    model: keras.Model


def train_model(
    config: Config,
    source: Source | None = None,
    reading: Reading | None = None,
    ends: End | None = None,
    settles: bool = True,
) -> TrainedRun:
    """Reads the catalogue and trains.

    The caller must have locked the run's folder (`locks.locked`).

    Args:
        config: all settings.
        source: the rows of the catalogue, if they come from Python.
        reading: the catalogue, if it is read already (`run_data.read`). The caller must have rehearsed
            the run (`rehearse_run`).
        ends: may end training after any validation (`training.loop.Task`).
        settles: whether the method chooses settings for the trained model (`Method.settle`). No validation
            of the training sees them.

    Raises:
        UserError, Stopped: as in `train_run`.
    """
    # Equal seeds give equal weights only if ops add numbers in a fixed order.
    tf.config.experimental.enable_op_determinism()
    config = with_monitor(config)
    check_training(config, given=source is not None or reading is not None)
    run = open_run(config)
    dataset = _load(config, run, source, reading)
    if run.is_trained:
        logging.info("This run is trained to its end.")
        model = trained_model(run)
    else:
        chosen = _chosen(config, dataset, run)
        model = fit(
            dataclasses.replace(_task(chosen, dataset, run), ends=ends), config.training, run
        )
        if settles:
            _settle(chosen, dataset, run, model)
    _write_validation_metrics(model, dataset, config, run, served=settles)
    return TrainedRun(run, dataset, model)


def _cross_validate(config: Config, source: Source | None, run: RunFolder) -> None:
    """Trains and measures the run of each fold; one that is measured is not read again."""
    for number in range(1, config.data.folds + 1):
        fold, settings = run.fold(number), fold_config(config, run, number)
        with locked(fold.path, "--run_dir"):
            if open_run(settings).is_trained and keys.TEST in fold.read_json(fold.metrics):
                continue
            logging.info("Fold %d of %d.", number, config.data.folds)
            trained = train_model(settings, source)
            evaluate(trained.model, trained.dataset, settings, fold, fold, keys.TEST)
    summarize_folds(config, run)


def train_again(config: Config, dataset: Dataset, run: RunFolder) -> None:
    """Trains a model on the items of all splits, as long as the measured one, into `run.refit`.

    A training that was stopped goes on; one that is finished is not repeated. The caller must have locked
    the run's folder.

    Args:
        config: all settings.
        dataset: of the run.
        run: the folder of the trained run.

    Raises:
        UserError, Stopped: as in `train_run`.
    """
    again = run.refit
    if again.trained_on.exists():
        return
    before = dataset.split_sizes[keys.TRAIN]
    folds = read_folds(run)
    epochs = None if folds is None else folds["epochs"]
    plan = plan_refit(read_history(run), before, joined_items(dataset), config.training, epochs)
    logging.info("Trains again on all %d items, %g epochs.", plan.items, plan.epochs)
    task = _task(_chosen(config, dataset, run), with_all_items(dataset), run)
    fit(dataclasses.replace(task, validate=None, steps=plan.steps), plan.training, again)
    record = {"items": plan.items, "epochs": plan.epochs, "steps": plan.steps}
    seals.write_json(again.trained_on, record)  # last, because it says that the model is complete


def rehearse_run(config: Config, encoders: ItemEncoders) -> None:
    """Raises UserError if the settings of a run cannot be honoured (`rehearsal`)."""

    def measured(model: keras.Model, data: Measurable) -> Mapping[str, float]:
        return measure_split(model, data, config, keys.VALIDATION, quick=True).metrics

    rehearse(config, encoders, measured)


def _load(
    config: Config, run: RunFolder, source: Source | None, reading: Reading | None
) -> Dataset:
    """Loads the run's data, and writes its settings and package versions into its folder."""
    encoders = ItemEncoders(config.features)
    if reading is None:
        rehearse_run(config, encoders)
    dataset = load_data(config, run, source, reading, encoders)
    for split in (keys.VALIDATION, keys.TEST):
        if split not in dataset.split_sizes:
            raise UserError(
                f"There are no {split} items. Expected at least one row with {split} in "
                f"--split_column={config.data.split_column}. Add such rows."
            )
    configs.save(config, run)
    files.write_json(run.versions, versions())
    _log_data(dataset)
    return dataset


def _chosen(config: Config, dataset: Dataset, run: RunFolder) -> Config:
    """The settings, with those of the method that validation items choose, which the run keeps."""
    if not run.chosen.exists():
        after = config.method.choose(dataset.spec, *_to_choose_on(config, dataset))
        _keep(config.method, after, run.chosen)
    return with_chosen(config, run)


def _settle(config: Config, dataset: Dataset, run: RunFolder, model: keras.Model) -> None:
    """Lets the method choose settings for the trained model, which the run keeps with them.

    A run that is killed in between does it again: the choice is the same.
    """
    after = config.method.settle(dataset.spec, model, *_to_choose_on(config, dataset))
    if after != config.method:
        with seals.replacing(run.model) as path:
            model.save(path)
        _keep(config.method, after, run.settled)


def _to_choose_on(config: Config, dataset: Dataset) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The training and the validation items by key, weighted as --class_balance asks."""
    train = features_to_solve(dataset.features_of(keys.TRAIN), config.training.class_balance)
    return train, dataset.features_of(keys.VALIDATION)


def _keep(before: Method, after: Method, path: pathlib.Path) -> None:
    """Writes the settings in which `after` differs, if there are any."""
    old = flat(before)
    found = {name: value for name, value in flat(after).items() if value != old[name]}
    if found:
        logging.info("Chosen on the validation items: %s.", found)
        seals.write_json(path, found)


def _task(config: Config, dataset: Dataset, run: RunFolder) -> Task:
    """The model, the training items and the validation of a run, for `fit`."""
    method, training = config.method, config.training
    features = dataset.features_of(keys.TRAIN)
    if method.needs_pairs:
        _check_pairs(method.name, features)

    def build() -> Trainer:
        adjust = training.class_balance == "logits"
        objective = method.build_objective(dataset.spec, adjust_logits=adjust)
        model = method.build_model(dataset.spec)
        backbones.prepare(model, training)
        return Trainer(model, objective, training.clip_norm)

    def validate(model: keras.Model) -> Mapping[str, float]:
        return measure_split(model, dataset, config, keys.VALIDATION, quick=True).metrics

    def adapt(model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        method.adapt(model, features)
        if training.start_from:
            _start_from(RunFolder(training.start_from), model, run)

    changes = [*_text_changes(config, dataset, run), *method.changes(dataset.spec, features)]
    for change in changes:
        if isinstance(change, (Mismatch, MismatchQueries)):
            logging.info(change.givers.told())
    return Task(build, features, validate, changes, adapt, method.refit)


def _write_validation_metrics(
    model: keras.Model, dataset: Dataset, config: Config, run: RunFolder, served: bool
) -> None:
    """Tunes the fusion weight and writes the metrics of the validation split.

    Before them, because they say that the run is complete, it writes what these items choose for a model that may
    be served; a trial of a study is not.
    """
    weight = None
    if not scores_pairs(model):
        items, features = dataset.split(keys.VALIDATION)
        predictions = predict(model, features, dataset.spec.multi_label)
        weight = final_fusion_weight(predictions, items)
        if served:
            write_choices(run, choose_for_serving(predictions, items, weight))
    quick = scores_pairs(model)
    measured = measure_split(model, dataset, config, keys.VALIDATION, weight, quick)
    seals.write_json(run.metrics, {keys.VALIDATION: dict(measured.metrics)})


def _check_pairs(method: str, features: Mapping[str, Any]) -> None:
    """Raises UserError if no training item has both image and text."""
    complete = np.asarray(features[keys.IMAGE_MASK]) * np.asarray(features[keys.TEXT_MASK])
    if not complete.any():
        raise UserError(
            f"--method={method} learns from items with both image and text, and no training item has both. "
            "Expected at least one. Add such items, or use a method with a loss for each modality, such "
            "as --method=huse."
        )


def _start_from(other: RunFolder, model: keras.Model, run: RunFolder) -> None:
    """Copies the weights of another run into the model.

    Raises:
        UserError: the other run has other items or another split.
    """
    source = trained_model(other)
    there, here = (each.read_json(each.fingerprint) for each in (other, run))
    if there != here:
        raise UserError(
            f"--start_from: the run in {str(other)!r} has other items or another split. It may have been "
            "trained on items that this run holds out. Expected the same catalogue, classes and "
            f"--split_seed. Received: {there['items']} items in {there['classes']} classes there, "
            f"{here['items']} in {here['classes']} here. Use the settings of that run's data."
        )
    copy_weights(source, model)


def _text_changes(config: Config, dataset: Dataset, run: RunFolder) -> list[Change]:
    """The changes that --field_dropout and --token_dropout make to the texts of a batch."""
    changes: list[Change] = []
    training = config.training
    if training.field_dropout:
        encoder = cast(Encoder, ItemEncoders.of_run(config.features, run).text)
        fields = Chosen(dataset.table["text_fields"], dataset.chosen(keys.TRAIN))
        separator = config.data.text_separator
        changes.append(FieldDropout(training.field_dropout, list(fields), encoder, separator))
    if training.token_dropout:
        changes.append(TokenDropout(training.token_dropout))
    return changes


def _log_data(dataset: Dataset) -> None:
    """Logs the sizes of the splits, and the classes that have no held-out items."""
    sizes = dataset.split_sizes
    logging.info(
        "%d items of %d products in %d classes; %s.",
        len(dataset.table),
        dataset.products,
        len(dataset.taxonomy.classes),
        ", ".join(
            f"{split} {sizes.get(split, 0)}" for split in (keys.TRAIN, keys.VALIDATION, keys.TEST)
        ),
    )
    if dataset.train_only:
        names = ", ".join(dataset.taxonomy.names[label] for label in dataset.train_only)
        logging.warning(
            "These classes have too few separate products to hold any out, so no metric covers them: %s.",
            names,
        )
