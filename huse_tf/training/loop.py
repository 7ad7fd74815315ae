"""The training loop: one for every strategy, resumable at any step.

Keras 3's `fit` fails under several workers (keras #20585) and restarts the epoch when resumed, so
the loop is ours; the step is `Trainer.train_step`.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from huse_tf import distribute, keys, seals
from huse_tf.data.pipeline import (
    Change,
    ModalityDropout,
    epoch_order,
    steps_per_epoch,
    training_batches,
)
from huse_tf.errors import Stopped, UserError
from huse_tf.run_folder import RunFolder
from huse_tf.sections import TrainingConfig
from huse_tf.training.checkpoints import Checkpoints, Progress
from huse_tf.training.class_balance import (
    balanced_weights,
    class_members,
    drawn_weights,
)
from huse_tf.training.interrupt import stop_requests
from huse_tf.training.monitor import monitored
from huse_tf.training.optimizers import make_optimizer
from huse_tf.training.progress_bar import ProgressBar
from huse_tf.training.trainer import Trainer

# Sets weights of a model that have a closed form, from the training items by key (keys.py).
Solve = Callable[[keras.Model, Mapping[str, np.ndarray]], None]


def fit(
    build: Callable[[], Trainer],
    features: Mapping[str, np.ndarray],
    validate: Callable[[keras.Model], Mapping[str, float]],
    config: TrainingConfig,
    run: RunFolder,
    changes: Sequence[Change] = (),
    adapt: Solve | None = None,
    refit: Solve | None = None,
) -> keras.Model:
    """Trains to the end, from wherever the run stands.

    Args:
        build: makes the trainer; called once, under the strategy.
        features: the training items, arrays of equal length by key (keys.py), with masks, weights
            and labels.
        validate: metrics of the validation items, by name, for a model.
        config: the settings of training.
        changes: made to each batch, before the modality dropout of the settings.
        adapt: sets what the model takes from the training items before the first step of a run.
        refit: likewise what it takes from them before each validation.
        run: its folder; receives `checkpoints/`, `history.jsonl`, `timing.json`, `tensorboard/` and
            `model.keras`.

    Returns:
        The model of the best epoch by the monitored metric.

    Raises:
        Stopped: after SIGINT or SIGTERM; the same call goes on from there.
        UserError: what the run needs to go on is damaged or gone.
    """
    keras.utils.set_random_seed(config.seed)
    strategy = distribute.make_strategy(config.strategy)
    with strategy.scope():
        trainer = build()
    loop = _Loop(trainer, strategy, features, validate, config, run, changes, adapt, refit)
    loop.go()
    with run.reading(run.model):
        return keras.models.load_model(run.model, compile=False)


class _Loop:
    """One call of `fit`; holds what its parts share."""

    def __init__(
        self,
        trainer: Trainer,
        strategy: tf.distribute.Strategy,
        features: Mapping[str, np.ndarray],
        validate: Callable[[keras.Model], Mapping[str, float]],
        config: TrainingConfig,
        run: RunFolder,
        changes: Sequence[Change],
        adapt: Solve | None,
        refit: Solve | None,
    ) -> None:
        self.trainer, self.strategy, self.features = trainer, strategy, dict(features)
        self.validate, self.config, self.run = validate, config, run
        self.adapt, self.refit = adapt, refit
        self.changes = [*changes]
        if config.modality_dropout:  # the last one, for it says what is there
            self.changes.append(ModalityDropout(config.modality_dropout))
        self.count = len(next(iter(features.values())))
        if config.class_balance == "weights":
            self.features[keys.WEIGHT] = balanced_weights(features)
        self.members, self.solved = None, self.features
        if config.class_balance == "sampling":
            self.members = class_members(features)
            self.solved = {**self.features, keys.WEIGHT: drawn_weights(features)}
        replicas = strategy.num_replicas_in_sync
        # Fewer items than a batch: one step takes them all, as far as replicas share them evenly.
        self.batch_size = min(config.batch_size, self.count // replicas * replicas)
        if self.batch_size % replicas:
            raise UserError(
                f"--batch_size must be a multiple of the {replicas} replicas. Received: {self.batch_size}."
            )
        self.steps_per_epoch = steps_per_epoch(self.count, self.batch_size)
        self.total_steps = config.max_steps or config.epochs * self.steps_per_epoch
        self.progress = Progress()
        with strategy.scope():
            trainer.compile(optimizer=make_optimizer(config, self.total_steps))
            self.checkpoints = Checkpoints(run.checkpoints, trainer, self.progress)
        self.step = distribute.step_function(strategy, trainer.train_step)
        self.sums: dict[str, Any] = {}
        self.clock = 0.0  # when `progress.seconds` was last added to

    def go(self) -> None:
        progress = self.progress
        if self.checkpoints.restore():
            logging.info("Goes on at epoch %d, step %d.", progress.epoch + 1, progress.step)
        elif (self.run.timing).exists():  # it is written after every checkpoint
            raise UserError(
                f"The run in {str(self.run)!r} has lost its checkpoints, so it cannot go on. Put back "
                "a copy of them, or delete that folder to train anew."
            )
        elif self.adapt is not None:
            self.adapt(self.trainer.model, self.features)
        validated = progress.best is not None
        history = History(self.run, last_epoch=progress.epoch if validated else 0)
        if validated:
            with self.run.reading(self.run.model):  # now, not when all epochs are done
                pass
        if progress.finished:
            logging.info("This run is trained to its end; best epoch: %d.", progress.best_epoch)
            return
        self.clock = time.monotonic()
        writer = tf.summary.create_file_writer(str(self.run.tensorboard))
        self.sums = dict(progress.sums)
        bar = ProgressBar(self.total_steps, self.batch_size, done=progress.step)
        with stop_requests() as stop_requested, writer.as_default(), bar:
            while not progress.finished:
                self.epoch(bar, stop_requested)
                progress.epoch += 1
                progress.step_in_epoch = 0
                ended = progress.step >= self.total_steps
                if ended or progress.epoch % self.config.validate_every == 0:
                    self.validation(bar, history)
                    self.save()
            if stop_requested():
                raise self.stopped()

    def epoch(self, bar: ProgressBar, stop_requested: Callable[[], bool]) -> None:
        """The steps of this epoch that are still to do."""
        progress = self.progress
        seed = (self.config.seed, progress.epoch)
        batches = training_batches(
            self.features,
            epoch_order(self.count, *seed, self.members),
            self.batch_size,
            progress.step_in_epoch,
            changes=self.changes,
            seed=seed,
        )
        for batch in distribute.distribute_batches(self.strategy, batches):
            # Sums stay on the device: reading them each step would make the device wait for us.
            for name, loss in self.step(batch).items():
                self.sums[name] = self.sums.get(name, 0.0) + loss
            progress.step += 1
            progress.step_in_epoch += 1
            progress.steps_since_validation += 1
            bar.advance(self.mean_losses)
            if progress.step >= self.total_steps:
                break
            every = self.config.checkpoint_every_steps
            if stop_requested() or (every and progress.step % every == 0):
                progress.sums = {name: float(value) for name, value in self.sums.items()}
                self.save()
            if stop_requested():
                raise self.stopped()

    def stopped(self) -> Stopped:
        epoch = self.progress.epoch + (self.progress.step_in_epoch > 0)
        return Stopped(
            f"Stopped after step {self.progress.step} (epoch {epoch}); everything is saved in "
            f"{str(self.run)!r}. The same command goes on from there."
        )

    def save(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.clock
        self.clock = now
        self.checkpoints.save()
        seals.write_json(self.run.timing, {"seconds": self.progress.seconds})

    def mean_losses(self) -> dict[str, float]:
        steps = self.progress.steps_since_validation
        return {name: float(value) / steps for name, value in self.sums.items()}

    def refuse_divergence(self, losses: Mapping[str, float]) -> None:
        """The losses alone do not tell: oneDNN's relu makes 0 of NaN, so lost weights may give finite ones."""
        weights = (
            (f"weight {weight.path}", keras.ops.convert_to_numpy(weight))
            for weight in self.trainer.model.weights
        )
        for name, value in itertools.chain(losses.items(), weights):
            lost = np.extract(~np.isfinite(value), value)
            if lost.size:
                raise UserError(
                    f"{name} became {lost[0]} in epoch {self.progress.epoch}. Lower --learning_rate "
                    f"(now {self.config.learning_rate}) and start again in another --run_dir."
                )

    def validation(self, bar: ProgressBar, history: History) -> None:
        """After an epoch: validates, keeps the model if it is the best so far, decides whether to go on."""
        progress, config = self.progress, self.config
        losses = self.mean_losses()
        self.refuse_divergence(losses)
        if self.refit is not None:
            self.refit(self.trainer.model, self.solved)
        metrics = dict(self.validate(self.trainer.model))
        merit = monitored(metrics, config.monitor)
        if progress.best is None or merit > progress.best:
            progress.best, progress.best_epoch = merit, progress.epoch
            with seals.replacing(self.run.model) as path:
                self.trainer.model.save(path)
        history.add({"epoch": progress.epoch, "step": progress.step, **losses, **metrics})
        for name, value in {**losses, **{f"validation/{k}": v for k, v in metrics.items()}}.items():
            tf.summary.scalar(name, value, step=progress.step)
        bar.epoch_line(progress.epoch, losses, "monitor", merit)
        waited = progress.epoch - progress.best_epoch
        progress.finished = progress.step >= self.total_steps or 0 < config.patience <= waited
        progress.steps_since_validation = 0
        progress.sums = self.sums = {}


class History:
    """`history.jsonl`: one line of losses and validation metrics a validation.

    Args:
        run: the folder of the run.
        last_epoch: the last whole epoch that the checkpoint knows of; later lines, written before
            a kill, are dropped, for their epochs are run again. 0 before the first validation.
    """

    def __init__(self, run: RunFolder, last_epoch: int) -> None:
        self.path = run.history
        rows = read_history(run) if last_epoch else []
        self.lines = [json.dumps(row) for row in rows if row["epoch"] <= last_epoch]

    def add(self, row: Mapping[str, float]) -> None:
        self.lines.append(json.dumps(row))
        seals.write_text(self.path, "\n".join(self.lines) + "\n")


def read_history(folder: str | os.PathLike[str]) -> list[dict[str, float]]:
    """The rows of a run's `history.jsonl`; a UserError if it is damaged or missing."""
    run = RunFolder(folder)
    with run.reading(run.history):
        rows = [json.loads(line) for line in run.history.read_text(encoding="utf-8").splitlines()]
        return [{"epoch": row["epoch"], **row} for row in rows]
