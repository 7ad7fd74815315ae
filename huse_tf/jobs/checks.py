"""Checks of the settings, made before anything is read. What they name must be there, and they must suit
each other. `rehearsal` then checks what only the built model can tell.

Nothing here imports TensorFlow, so a wrong flag does not wait for it.
"""

from __future__ import annotations

import dataclasses
import pathlib

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.data.readers.sources import locate
from huse_tf.errors import UserError
from huse_tf.features.class_graph import files_of, parse_class_graph
from huse_tf.features.encoder_checks import (
    check_class_encoder,
    check_image_encoder,
    check_text_encoder,
    is_precomputed,
)
from huse_tf.sections import DataConfig, ExportConfig, FeatureConfig, TrainingConfig
from huse_tf.serving.versions import refuse_existing
from huse_tf.spec import SEPARATOR
from huse_tf.training.class_balance import weights_need_one_class
from huse_tf.training.optimizer_settings import check_optimizer


def check_training(config: Config, given: bool = False) -> None:
    """Raises UserError where a model cannot be trained under these settings.

    Args:
        config: all settings.
        given: whether the rows of the catalogue come from Python.
    """
    _check_data(config.data, given)
    _check_sides(config.data)
    check_texts(config)
    _check_encoders(config)
    training = config.training
    check_optimizer(training)
    if training.class_balance == "weights" and config.data.multi_label:
        raise weights_need_one_class()
    if training.field_dropout and is_precomputed(config.features.text_encoder):
        raise UserError(
            "--field_dropout encodes texts anew while training. Expected an encoder that can. "
            f"Received: --text_encoder={config.features.text_encoder}."
        )
    if not training.monitor:
        raise UserError("--monitor names no metric. Expected at least one, or leave it out.")
    if training.start_from and not pathlib.Path(training.start_from).is_dir():
        raise UserError(f"--start_from: no run lies in {training.start_from!r}.")
    check_export(config.export, run_dir(config))


def check_preparing(config: Config, given: bool = False) -> None:
    """Raises UserError where a catalogue cannot be prepared; arguments as of `check_training`."""
    _check_data(config.data, given)
    check_text_encoder(config.features.text_encoder)  # it counts tokens


def check_measuring(config: Config, run: Config, split: str, other_catalogue: bool) -> None:
    """Raises UserError where a trained run cannot be measured under these settings.

    Args:
        config: the run's settings, perhaps with others for the catalogue and evaluation.
        run: the run's own.
        split: which side is to be measured.
        other_catalogue: whether it is another catalogue, all of which is then measured.
    """
    check_same_texts(config, run)
    _check_data(config.data, given=not other_catalogue)
    if other_catalogue and split != keys.TEST:
        raise UserError(
            "All of another catalogue is measured, and --split tells sides of the run's own. Expected one of "
            f"--catalogue and --split. Received: --split={split}."
        )
    held_out = config.data.unseen_classes or config.data.unseen_class_fraction
    if split == keys.UNSEEN and config.data.split_by != "column" and not held_out:
        raise UserError(
            "There are no unseen items to measure: the run held out no classes. Expected a run that was "
            "trained with --unseen_classes or --unseen_class_fraction. Received: --split=unseen."
        )
    _check_encoders(config)


def check_export(config: ExportConfig, run: pathlib.Path) -> None:
    """Raises UserError where the run in the folder `run` could not be exported under this name and version."""
    name = config.export_name
    if name and (pathlib.PurePath(name).name != name or name == ".."):
        raise UserError(
            "--export_name is the name of one folder in --export_dir. Expected one like home_goods. "
            f"Received: {name!r}."
        )
    if config.export_version:
        refuse_existing(export_home(config, run) / str(config.export_version))


def export_home(config: ExportConfig, run: pathlib.Path) -> pathlib.Path:
    """The folder of the versions of an exported run."""
    return pathlib.Path(config.export_dir) / (config.export_name or run.resolve().name)


def run_dir(config: Config) -> pathlib.Path:
    """The run's folder, which need not exist."""
    return pathlib.Path(config.training.run_dir or pathlib.Path("runs") / config.data.name)


def check_run_encoders(config: FeatureConfig) -> None:
    """Raises UserError if the image or the text encoder is unknown, or lacks a package or a file."""
    check_image_encoder(config.image_encoder)
    check_text_encoder(config.text_encoder)


def uses_class_names(config: Config) -> bool:
    """Whether --class_encoder is asked for anything."""
    kinds = {part.kind for part in parse_class_graph(config.features.class_graph)}
    return bool(kinds & {"name", "path"}) or config.method.needs_class_embeddings


def _check_encoders(config: Config) -> None:
    check_run_encoders(config.features)
    for file in files_of(config.features.class_graph):
        if not file.is_file():
            raise UserError(f"No class graph lies at {str(file)!r}. Change --class_graph.")
    check_class_encoder(config.features.class_encoder, uses_class_names(config))


def _check_data(config: DataConfig, given: bool) -> None:
    """That the files lie there; a catalogue elsewhere is asked for when it is read."""
    if not given and "://" not in config.catalogue:
        place = locate(config)
        for file in place.files:
            if not pathlib.Path(file).exists():
                raise UserError(
                    f"No catalogue lies at {file!r}. Expected --catalogue=FILE, a folder or a URL."
                )
    if config.taxonomy and not pathlib.Path(config.taxonomy).exists():
        raise UserError(
            f"No class tree lies at {config.taxonomy!r}. Expected a file or WordNet's folder. "
            "Change --taxonomy."
        )
    root = config.image_root
    if root and "://" not in root and not pathlib.Path(root).expanduser().is_dir():
        raise UserError(f"--image_root is no folder. Received: {root!r}.")


def check_same_texts(config: Config, run: Config) -> None:
    """Raises UserError where texts would not come as a trained run knows them.

    Its fingerprint tells items by their columns, however these are joined.
    """
    ours, theirs = config.data.text_separator, run.data.text_separator
    if ours != theirs:
        raise UserError(
            "--text_separator must be that which the run was trained with, for its text encoder learned "
            f"from texts so joined. Expected --text_separator={theirs}. Received: --text_separator={ours}."
        )
    check_texts(config)


def check_texts(config: Config) -> None:
    """Raises UserError where text columns would not be told apart by those who are to do so."""
    separated = config.data.text_separator == SEPARATOR
    received = f"Received: --text_separator={config.data.text_separator}."
    if config.method.scores_queries and not separated:
        raise UserError(
            f"--text_parts=2 takes for the query what a text has before its first {SEPARATOR}. Expected "
            f"--text_separator={SEPARATOR}, and the query's column first in --text_columns. {received}"
        )
    if not config.features.encodes_fields:
        return
    if not separated:
        raise UserError(
            f"--text_encoder=fields:... tells text columns apart by {SEPARATOR}. Expected "
            f"--text_separator={SEPARATOR}. {received}"
        )
    columns = config.data.text_columns
    if not config.features.text_encoder.startswith(f"fields:{len(columns)}:"):
        raise UserError(
            "--text_encoder=fields:COLUMNS:ENCODER counts the text columns. Expected "
            f"fields:2:minilm with --text_columns=title,description, or the like. "
            f"Received: --text_encoder={config.features.text_encoder} "
            f"--text_columns={','.join(columns)}."
        )


def with_monitor(config: Config) -> Config:
    """The settings, with the metrics that items of several classes have, if none were chosen."""
    if not config.data.multi_label or config.training.monitor != TrainingConfig().monitor:
        return config
    monitor = tuple(name.replace("accuracy", "hit_at_1") for name in config.training.monitor)
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, monitor=monitor)
    )


def _check_sides(config: DataConfig) -> None:
    if config.split_by == "column":
        return  # the column says what is held out
    for name, use in (
        ("validation_fraction", "pick the best epoch"),
        ("test_fraction", "measure that model"),
    ):
        if not getattr(config, name):
            raise UserError(
                f"Training needs held-out items to {use}. Expected --{name} above 0. Received: 0."
            )
