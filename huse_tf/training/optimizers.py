"""Keras optimizers by name, and how their learning rate goes."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

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
# Settings that only some optimizers have.
WITH = {
    "momentum": ("rmsprop", "sgd"),
    "beta_1": ("adam", "adamw", "lamb"),
    "beta_2": ("adam", "adamw", "lamb"),
}


def make_optimizer(config: TrainingConfig, total_steps: int) -> keras.Optimizer:
    """The optimizer that the settings describe; what it cannot honour is refused, not ignored.

    `clip_norm` is not its affair: Keras clips before it adds up what the replicas found, the trainer
    afterwards.

    Args:
        config: the settings.
        total_steps: after which training ends at the latest, and the learning rate has fallen.
    """
    name = config.optimizer
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    settings: dict[str, Any] = {"learning_rate": _learning_rate(config, total_steps)}
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    asked = {"momentum": config.momentum, "beta_1": config.beta_1, "beta_2": config.beta_2}
    for setting, value in asked.items():
        optimizers = WITH[setting]
        if name in optimizers:
            settings[setting] = value
        elif value != defaults[setting]:
            raise UserError(
                f"--{setting} belongs to {' and '.join(optimizers)}; {name} has none. Received: "
                f"--{setting}={value}. Leave it at {defaults[setting]} or choose another --optimizer."
            )
    if config.weight_decay:
        settings["weight_decay"] = config.weight_decay
    return OPTIMIZERS[name](**settings)


def _learning_rate(config: TrainingConfig, total_steps: int) -> float | WarmUpAndDecay:
    if config.warmup_steps >= total_steps:
        raise UserError(
            f"--warmup_steps must be fewer than the steps of the run, {total_steps}. "
            f"Received: {config.warmup_steps}."
        )
    if not config.warmup_steps and config.decay == "none":
        return config.learning_rate
    last = total_steps if config.decay == "linear" else None
    return WarmUpAndDecay(config.learning_rate, config.warmup_steps, last)


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Up to `peak` over `warmup_steps` steps, then down to 0 at step `last`, or level if it is None.

    Both linear, as BERT is trained (Devlin et al. 2019). The first step already moves: step s of the
    warm-up, from 0, has the rate peak (s + 1) / warmup_steps.
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
