"""Keras optimizers by name."""

from __future__ import annotations

import keras

from huse_tf.config import TrainingConfig
from huse_tf.errors import UserError, unknown_name

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "adagrad": keras.optimizers.Adagrad,
    "lamb": keras.optimizers.Lamb,
}
WITH_MOMENTUM = ("rmsprop", "sgd")


def make_optimizer(config: TrainingConfig) -> keras.Optimizer:
    """The optimizer that the settings describe; what it cannot honour is refused, not ignored."""
    if config.optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", config.optimizer, OPTIMIZERS)
    settings: dict[str, float] = {"learning_rate": config.learning_rate}
    if config.optimizer in WITH_MOMENTUM:
        settings["momentum"] = config.momentum
    elif config.momentum:
        raise UserError(
            f"--momentum belongs to {' and '.join(WITH_MOMENTUM)}; {config.optimizer} has none. "
            f"Received: --momentum={config.momentum}. Leave it at 0 or choose another --optimizer."
        )
    return OPTIMIZERS[config.optimizer](**settings)
