"""Keras optimizers by name, with their learning-rate schedule."""

from __future__ import annotations

import math
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
    last = None if config.decay == "none" else total_steps
    return WarmUpAndDecay(
        config.learning_rate, config.warmup_steps, last, cosine=config.decay == "cosine"
    )


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then constant, or a decay to 0 at step `last`.

    Step s of the warm-up, counted from 0, has the rate peak (s + 1) / warmup_steps. With r the share of the
    remaining steps that lie ahead, the rate is then peak r (Devlin et al. 2019, BERT), or peak (1 - cos(pi r)) / 2
    (Loshchilov and Hutter 2017, SGDR, arXiv 1608.03983, one cycle).

    Args:
        peak: the highest learning rate.
        warmup_steps: steps of the warm-up.
        last: the step at which the rate is 0; None: it does not fall.
        cosine: whether it falls along a half cosine, or along a line.

    Examples:
        >>> rate = WarmUpAndDecay(1.0, 0, last=4, cosine=True)
        >>> [round(float(rate(step)), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(
        self, peak: float, warmup_steps: int, last: int | None, cosine: bool = False
    ) -> None:
        self.peak, self.warmup_steps, self.last, self.cosine = peak, warmup_steps, last, cosine

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        factor = tf.minimum(1.0, (step + 1.0) / max(self.warmup_steps, 1))
        if self.last is not None:
            ahead = tf.minimum(1.0, (self.last - step) / (self.last - self.warmup_steps))
            factor *= (1.0 - tf.cos(math.pi * ahead)) / 2.0 if self.cosine else ahead
        return self.peak * factor

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "last": self.last,
            "cosine": self.cosine,
        }
