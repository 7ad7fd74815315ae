"""Keras optimizers by name, with their learning-rate schedule."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from huse_tf.errors import unknown_name
from huse_tf.sections import TrainingConfig
from huse_tf.training.optimizer_settings import WITH, check_optimizer, check_warmup

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "adagrad": keras.optimizers.Adagrad,
    "lamb": keras.optimizers.Lamb,
}


def make_optimizer(config: TrainingConfig, total_steps: int) -> keras.Optimizer:
    """The optimizer that the settings describe.

    `clip_norm` is left to the trainer: Keras clips each replica's gradient before they are summed, the trainer
    clips the sum.

    Args:
        config: the settings.
        total_steps: the last step of training, where a falling learning rate reaches 0.

    Raises:
        UserError: unknown name, or a setting that the optimizer does not have.
    """
    name = config.optimizer
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    settings: dict[str, Any] = {"learning_rate": _learning_rate(config, total_steps)}
    check_optimizer(config)
    asked = {"momentum": config.momentum, "beta_1": config.beta_1, "beta_2": config.beta_2}
    settings |= {setting: value for setting, value in asked.items() if name in WITH[setting]}
    if config.weight_decay:
        settings["weight_decay"] = config.weight_decay
    return OPTIMIZERS[name](**settings)


def _learning_rate(config: TrainingConfig, total_steps: int) -> float | WarmUpAndDecay:
    check_warmup(config, total_steps)
    if not config.warmup_steps and config.decay == "none":
        return config.learning_rate
    last = total_steps if config.decay == "linear" else None
    return WarmUpAndDecay(config.learning_rate, config.warmup_steps, last)


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then constant, or linear decay to 0 at step `last` (Devlin et al. 2019, BERT).

    Step s of the warm-up, counted from 0, has the rate peak (s + 1) / warmup_steps.
    """

    def __init__(self, peak: float, warmup_steps: int, last: int | None) -> None:
        self.peak, self.warmup_steps, self.last = peak, warmup_steps, last

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        factor = tf.minimum(1.0, (step + 1.0) / max(self.warmup_steps, 1))
        if self.last is not None:
            factor *= tf.minimum(1.0, (self.last - step) / (self.last - self.warmup_steps))
        return self.peak * factor

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "last": self.last}
