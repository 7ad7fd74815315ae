"""Settings of one section that must suit those of another, looked at before anything is read."""

from __future__ import annotations

import dataclasses

from huse_tf.config import Config, DataConfig, TrainingConfig
from huse_tf.errors import UserError
from huse_tf.methods.base import SEPARATOR
from huse_tf.training.class_balance import weights_need_one_class


def check_training(config: Config) -> None:
    """Raises UserError where a model cannot be trained under these settings."""
    _check_sides(config.data)
    check_texts(config)
    if config.training.class_balance == "weights" and config.data.multi_label:
        raise weights_need_one_class()


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
