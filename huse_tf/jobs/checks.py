"""Checks the settings before anything is read: files must exist, and settings must fit each other.

`rehearsal` checks the rest, which needs a built model. Nothing here imports TensorFlow, so a wrong flag is
refused at once.
"""

from __future__ import annotations

import dataclasses
import pathlib

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.data.readers.sources import locate
from huse_tf.data.splits.assign import check_folds
from huse_tf.errors import UserError
from huse_tf.features.class_graph import files_of, parse_class_graph
from huse_tf.features.encoder_checks import (
    check_class_encoder,
    check_image_encoder,
    check_text_encoder,
    is_precomputed,
)
from huse_tf.sections import DataConfig, ExportConfig, FeatureConfig, TrainingConfig
from huse_tf.serving.formats import ONE_MODALITY, check_formats, one_modality_homes
from huse_tf.serving.versions import refuse_existing
from huse_tf.spec import SEPARATOR
from huse_tf.training.class_balance import weights_need_one_class
from huse_tf.training.optimizer_settings import check_optimizer


def check_training(config: Config, given: bool = False) -> None:
    """Raises UserError if no model can be trained with these settings.

    Args:
        config: all settings.
        given: whether the rows of the catalogue come from Python. Then its files are not looked for.
    """
    _check_data(config.data, given)
    _check_held_out(config.data)
    _check_texts(config)
    _check_encoders(config)
    training = config.training
    check_optimizer(training)
    if training.class_balance == "weights" and config.data.multi_label:
        raise weights_need_one_class()
    if training.field_dropout and is_precomputed(config.features.text_encoder):
        raise UserError(
            "--field_dropout encodes texts again during training, which precomputed features do not allow. "
            f"Expected a text encoder. Received: --text_encoder={config.features.text_encoder}. Choose "
            "another --text_encoder, or --field_dropout=0."
        )
    if not training.monitor:
        raise UserError(
            "--monitor names no metric. Expected at least one. Name one, or leave it out."
        )
    if training.start_from and not pathlib.Path(training.start_from).is_dir():
        raise UserError(
            f"--start_from: no run lies in {training.start_from!r}. Expected a run's folder. Change it."
        )
    check_export(config.export, run_dir(config), config.method.embeds)


def check_preparing(config: Config, given: bool = False) -> None:
    """Raises UserError if the catalogue cannot be prepared with these settings.

    Args:
        config: all settings.
        given: whether the rows of the catalogue come from Python.
    """
    _check_data(config.data, given)
    check_text_encoder(config.features.text_encoder)  # prepare counts tokens


def check_measuring(config: Config, run: Config, split: str, other_catalogue: bool) -> None:
    """Raises UserError if a trained run cannot be measured with these settings.

    Args:
        config: the settings of the measurement. The sections data and evaluation may differ from `run`.
        run: the settings that the run was trained with.
        split: name of the split to measure.
        other_catalogue: whether `config` names another catalogue. All its items are measured then.
    """
    _check_same_texts(config, run)
    _check_data(config.data, given=not other_catalogue)
    if other_catalogue and split != keys.TEST:
        raise UserError(
            "--split names a split of the run's own catalogue, but --catalogue measures all items of another "
            f"one. Expected only one of the two. Received: --catalogue and --split={split}. Leave one out."
        )
    held_out = config.data.unseen_classes or config.data.unseen_class_fraction
    if split == keys.UNSEEN and config.data.split_by != "column" and not held_out:
        raise UserError(
            "There are no unseen items to measure, because the run held out no classes. Expected a run that "
            "was trained with --unseen_classes or --unseen_class_fraction. Received: --split=unseen. Train "
            "such a run, or measure another split."
        )
    _check_encoders(config)


def check_export(config: ExportConfig, run: pathlib.Path, embeds: bool = True) -> None:
    """Raises UserError if the run in the folder `run` cannot be exported under this name, version and formats.

    Args:
        config: the settings.
        run: the run's folder. It need not exist.
        embeds: whether its method embeds images and texts (`Method.embeds`).
    """
    check_formats(config.formats, embeds)
    name = config.export_name
    if name and (pathlib.PurePath(name).name != name or name == ".."):
        raise UserError(
            "--export_name is the name of a folder in --export_dir. Expected a name such as home_goods, "
            f"without a slash. Received: {name!r}."
        )
    if config.export_version:
        for home in export_homes(config, run):
            refuse_existing(home / str(config.export_version))


def export_home(config: ExportConfig, run: pathlib.Path) -> pathlib.Path:
    """The folder that holds the versions of an exported run."""
    return pathlib.Path(config.export_dir) / (config.export_name or run.resolve().name)


def export_homes(config: ExportConfig, run: pathlib.Path) -> list[pathlib.Path]:
    """The folders of an exported run and, if they are written, of its models of one modality."""
    home = export_home(config, run)
    beside = list(one_modality_homes(home).values()) if ONE_MODALITY in config.formats else []
    return [home, *beside]


def run_dir(config: Config) -> pathlib.Path:
    """The run's folder. It need not exist."""
    return pathlib.Path(config.training.run_dir or pathlib.Path("runs") / config.data.name)


def check_run_encoders(config: FeatureConfig) -> None:
    """Raises UserError if the image or the text encoder is unknown, or needs a missing package or file."""
    check_image_encoder(config.image_encoder)
    check_text_encoder(config.text_encoder)


def uses_class_names(config: Config) -> bool:
    """Whether the settings need vectors of class names, and so --class_encoder."""
    kinds = {part.kind for part in parse_class_graph(config.features.class_graph)}
    return bool(kinds & {"name", "path"}) or config.method.needs_class_embeddings


def _check_encoders(config: Config) -> None:
    check_run_encoders(config.features)
    for file in files_of(config.features.class_graph):
        if not file.is_file():
            raise UserError(
                f"No class graph lies at {str(file)!r}. Expected a file. Change --class_graph."
            )
    check_class_encoder(config.features.class_encoder, uses_class_names(config))


def _check_data(config: DataConfig, given: bool) -> None:
    """Raises UserError if a local file or folder is missing. URLs are not opened here."""
    if not given and "://" not in config.catalogue:
        place = locate(config)
        for file in place.files:
            if not pathlib.Path(file).exists():
                raise UserError(
                    f"No catalogue lies at {file!r}. Expected a file, a folder or a URL. Change "
                    "--catalogue."
                )
    if config.taxonomy and not pathlib.Path(config.taxonomy).exists():
        raise UserError(
            f"No class tree lies at {config.taxonomy!r}. Expected a file with a class tree, or the "
            "folder of WordNet. Change --taxonomy."
        )
    root = config.image_root
    if root and "://" not in root and not pathlib.Path(root).expanduser().is_dir():
        raise UserError(
            "--image_root is not a folder. Expected the folder that image paths are relative to. "
            f"Received: {root!r}. Change --image_root."
        )


def _check_same_texts(config: Config, run: Config) -> None:
    """Raises UserError if text columns would be joined in another way than in training.

    The fingerprint of the run's data does not show this, because it hashes single columns.
    """
    ours, theirs = config.data.text_separator, run.data.text_separator
    if ours != theirs:
        raise UserError(
            "--text_separator differs from the one in training, where the text encoder learned from texts "
            f"with that separator. Expected --text_separator={theirs}. Received: --text_separator={ours}. "
            "Leave --text_separator out."
        )
    _check_texts(config)


def _check_texts(config: Config) -> None:
    """Raises UserError if the method or the text encoder could not separate the text columns."""
    separated = config.data.text_separator == SEPARATOR
    received = f"Received: --text_separator={config.data.text_separator}."
    if config.method.scores_queries and not separated:
        raise UserError(
            f"--text_parts=2 takes the part of a text before its first {SEPARATOR} as the query. Expected "
            f"--text_separator={SEPARATOR}, and the column of the query first in --text_columns. {received} "
            f"Add --text_separator={SEPARATOR}."
        )
    if not config.features.encodes_fields:
        return
    if not separated:
        raise UserError(
            f"--text_encoder=fields:... separates text columns at {SEPARATOR}. Expected "
            f"--text_separator={SEPARATOR}. {received} Add --text_separator={SEPARATOR}."
        )
    columns = config.data.text_columns
    if not config.features.text_encoder.startswith(f"fields:{len(columns)}:"):
        raise UserError(
            "COLUMNS in --text_encoder=fields:COLUMNS:ENCODER counts the text columns. Expected "
            f"fields:{len(columns)}:ENCODER. Received: --text_encoder={config.features.text_encoder} with "
            f"--text_columns={','.join(columns)}. Change one of the two."
        )


def with_monitor(config: Config) -> Config:
    """The settings with their final `monitor`.

    The default monitors accuracy, which items with several classes do not have. They get hit_at_1.
    """
    if not config.data.multi_label or config.training.monitor != TrainingConfig().monitor:
        return config
    monitor = tuple(name.replace("accuracy", "hit_at_1") for name in config.training.monitor)
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, monitor=monitor)
    )


def _check_held_out(config: DataConfig) -> None:
    """Raises UserError if the split holds out no validation or no test items."""
    if config.split_by == "column":
        return  # the column decides, and it is not read yet
    check_folds(config)
    for name, use in (
        ("validation_fraction", "pick the best epoch"),
        ("test_fraction", "measure the model"),
    ):
        if not getattr(config, name):
            raise UserError(
                f"Training needs held-out items to {use}. Expected --{name} above 0. Received: 0. Set it, for "
                "example to 0.15."
            )
