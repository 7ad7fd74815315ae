"""Training: from settings to a trained, measured and exported run."""

from __future__ import annotations

import dataclasses
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
from huse_tf.evaluation.measure import final_fusion_weight, predict
from huse_tf.evaluation.pairs import scores_pairs
from huse_tf.features.encoder import Encoder
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_training, run_dir, with_monitor
from huse_tf.jobs.evaluate import Result, evaluate
from huse_tf.jobs.export import export_run
from huse_tf.jobs.measure import measure_split
from huse_tf.jobs.rehearsal import Measurable, rehearse
from huse_tf.jobs.run_data import Dataset, Reading, load_data
from huse_tf.jobs.runs import open_run, trained_model, versions
from huse_tf.locks import locked
from huse_tf.run_folder import RunFolder
from huse_tf.training.loop import Task, fit
from huse_tf.training.trainer import Trainer
from huse_tf.training.warm_start import copy_weights


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
        trained = train_model(config, source)
        run = trained.run
        result = evaluate(trained.model, trained.dataset, config, run, run, keys.TEST)
        export = export_run(run, config.export, again=False)
    return dataclasses.replace(result, export=export, seconds=time.monotonic() - began)


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run that is trained to its end.

    Attributes:
        run: its folder.
        dataset: all of its items, with features.
        model: of the best epoch.
    """

    run: RunFolder
    dataset: Dataset
    model: keras.Model


def train_model(
    config: Config, source: Source | None = None, reading: Reading | None = None
) -> TrainedRun:
    """Prepares the data and trains.

    The caller holds the run's folder (`locks.locked`), so that no other process trains in it.

    Args:
        config, source: as for `train_run`.
        reading: the catalogue, if it was read already (`run_data.read`), and the run rehearsed
            (`rehearse_run`).
    """
    # Equal seeds give equal weights only with ops that add up in a fixed order.
    tf.config.experimental.enable_op_determinism()
    config = with_monitor(config)
    check_training(config, given=source is not None or reading is not None)
    run = open_run(config)
    encoders = ItemEncoders(config.features)
    if reading is None:
        rehearse_run(config, encoders)
    dataset = load_data(config, run, source, reading, encoders)
    for side in (keys.VALIDATION, keys.TEST):
        if side not in dataset.split_sizes:
            raise UserError(
                f"There are no {side} items. Expected some in --split_column={config.data.split_column}."
            )
    configs.save(config, run)
    files.write_json(run.versions, versions())
    _log_data(dataset)

    def build() -> Trainer:
        method = config.method
        adjust = config.training.class_balance == "logits"
        objective = method.build_objective(dataset.spec, adjust_logits=adjust)
        return Trainer(method.build_model(dataset.spec), objective, config.training.clip_norm)

    def validate(model: keras.Model) -> dict[str, float]:
        return measure_split(model, dataset, config, keys.VALIDATION, quick=True)[0]

    method = config.method
    trained = dataset.features_of(keys.TRAIN)
    _check_pairs(config, trained)
    changes = [*_text_changes(config, dataset, run), *method.changes(dataset.spec, trained)]
    for change in changes:
        if isinstance(change, (Mismatch, MismatchQueries)):
            logging.info(change.givers.told())

    def adapt(model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
        method.adapt(model, features)
        if config.training.start_from:
            _start_from(RunFolder(config.training.start_from), model, run)

    if run.is_trained:
        logging.info("This run is trained to its end.")
        model = trained_model(run)
    else:
        task = Task(build, trained, validate, changes, adapt, method.refit)
        model = fit(task, config.training, run)
    weight = None
    if not scores_pairs(model):
        items, features = dataset.split(keys.VALIDATION)
        weight = final_fusion_weight(predict(model, features, dataset.spec.multi_label), items)
    figures, _ = measure_split(model, dataset, config, keys.VALIDATION, weight, quick=True)
    seals.write_json(run.metrics, {keys.VALIDATION: figures})
    return TrainedRun(run, dataset, model)


def rehearse_run(config: Config, encoders: ItemEncoders) -> None:
    """Raises UserError where a run would be refused for its settings (`rehearsal`)."""

    def measured(model: keras.Model, data: Measurable) -> Mapping[str, float]:
        return measure_split(model, data, config, keys.VALIDATION, quick=True)[0]

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


def _start_from(other: RunFolder, model: keras.Model, run: RunFolder) -> None:
    """Copies weights of the run in `other`; refused if that knows other items, or parted them otherwise."""
    source = trained_model(other)
    there, here = (each.read_json(each.fingerprint) for each in (other, run))
    if there != here:
        raise UserError(
            f"--start_from: the run in {str(other)!r} had other items or another split, so it may have "
            "been trained on what this one holds out. Expected the same catalogue, classes and "
            f"--split_seed. Received: {there['items']} items in {there['classes']} classes there, "
            f"{here['items']} in {here['classes']} here."
        )
    copy_weights(source, model)


def _text_changes(config: Config, dataset: Dataset, run: RunFolder) -> list[Change]:
    """What the settings do to the texts of training batches."""
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
    sides = dataset.split_sizes
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
