"""Which settings each optimizer has; free of TensorFlow, so that wrong flags are refused at once."""

from __future__ import annotations

import dataclasses

from huse_tf.errors import UserError
from huse_tf.sections import TrainingConfig

# Settings that only some optimizers have.
WITH = {
    "momentum": ("rmsprop", "sgd"),
    "beta_1": ("adam", "adamw", "lamb"),
    "beta_2": ("adam", "adamw", "lamb"),
}


def check_optimizer(config: TrainingConfig) -> None:
    """Raises UserError for a setting that the optimizer does not have."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for setting, optimizers in WITH.items():
        value = getattr(config, setting)
        if config.optimizer not in optimizers and value != defaults[setting]:
            raise UserError(
                f"--{setting} belongs to {' and '.join(optimizers)}; {config.optimizer} has none. Received: "
                f"--{setting}={value}. Leave it at {defaults[setting]} or choose another --optimizer."
            )
    if config.max_steps:
        check_warmup(config, config.max_steps)


def check_warmup(config: TrainingConfig, total_steps: int) -> None:
    """Raises UserError where the warm-up would not end before `total_steps`, the end of training."""
    if config.warmup_steps >= total_steps:
        raise UserError(
            f"--warmup_steps must be fewer than the steps of the run, {total_steps}. "
            f"Received: {config.warmup_steps}."
        )
