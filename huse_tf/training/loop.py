"""The training loop: one for every strategy, resumable at any step.

Keras 3's `fit` fails under several workers (keras #20585) and restarts the epoch when resumed, so
the loop is ours; the step is `Trainer.train_step`.
"""

from __future__ import annotations

import dataclasses
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

from huse_tf import distribute, seals
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
from huse_tf.training.backbones import rates
from huse_tf.training.checkpoints import Checkpoints, Progress
from huse_tf.training.class_balance import class_members, features_to_solve
from huse_tf.training.interrupt import stop_requests
from huse_tf.training.monitor import monitored, present
from huse_tf.training.optimizers import make_optimizer
from huse_tf.training.progress_bar import ProgressBar
from huse_tf.training.trainer import Trainer

# Asked after each validation, with the epoch and the mean of the monitored metrics: whether to end training.
End = Callable[[int, float], bool]
# Sets weights of a model that have a closed form, from the training items by key (keys.py).
Solve = Callable[[keras.Model, Mapping[str, np.ndarray]], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The model to train, its data, and how it is validated.

    Attributes:
        build: makes the trainer; called once, under the strategy.
        features: the training items, arrays of equal length by key (keys.py), with masks, weights
            and labels.
        validate: model -> metrics of the validation items, by name. None: there are none, and the last
            model is kept.
        changes: made to each batch, before the modality dropout of the settings.
        adapt: sets weights from the training items before the first step of a run.
        refit: sets weights from the training items before each validation.
        ends: may end training after any validation, as --patience does.
        steps: to stop after; None: those of the settings. The learning rate follows the settings.
    """

    build: Callable[[], Trainer]
    features: Mapping[str, np.ndarray]
    validate: Callable[[keras.Model], Mapping[str, float]] | None
    changes: Sequence[Change] = ()
    adapt: Solve | None = None
    refit: Solve | None = None
    ends: End | None = None
    steps: int | None = None


def fit(task: Task, config: TrainingConfig, run: RunFolder) -> keras.Model:
    """Trains to the end, from wherever the run stands.

    Args:
        task: what is trained.
        config: the settings of training.
        run: receives `checkpoints/`, `history.jsonl`, `timing.json`, `tensorboard/` and `model.keras`.

    Returns:
        The model of the best epoch by the monitored metrics.

    Raises:
        Stopped: after SIGINT or SIGTERM; the same call goes on from there.
        UserError: a file that the run needs to go on is damaged or missing.
    """
    keras.utils.set_random_seed(config.seed)
    strategy = distribute.make_strategy(config.strategy)
    with strategy.scope():
        trainer = task.build()
    _Loop(task, trainer, strategy, config, run).go()
    with run.reading(run.model):
        return keras.models.load_model(run.model, compile=False)


class _Loop:
    """One call of `fit`: the state that its steps share."""

    def __init__(
        self,
        task: Task,
        trainer: Trainer,
        strategy: tf.distribute.Strategy,
        config: TrainingConfig,
        run: RunFolder,
    ) -> None:
        self.task, self.trainer, self.strategy = task, trainer, strategy
        self.config, self.run = config, run
        self.features = dict(task.features)
        self.changes = [*task.changes]
        if config.modality_dropout:  # last, because it decides which modalities are present
            self.changes.append(ModalityDropout(config.modality_dropout))
        self.count = len(next(iter(task.features.values())))
        self.solved = features_to_solve(task.features, config.class_balance)
        self.members = None
        if config.class_balance == "weights":
            self.features = self.solved
        elif config.class_balance == "sampling":
            self.members = class_members(task.features)
        replicas = strategy.num_replicas_in_sync
        # Fewer items than a batch: one step takes them all, as far as replicas share them evenly.
        self.batch_size = min(config.batch_size, self.count // replicas * replicas)
        if self.batch_size % replicas:
            raise UserError(
                f"--batch_size must be a multiple of the {replicas} replicas. Received: {self.batch_size}."
            )
        self.steps_per_epoch = steps_per_epoch(self.count, self.batch_size)
        horizon = config.max_steps or config.epochs * self.steps_per_epoch
        self.total_steps = horizon if task.steps is None else task.steps
        if not trainer.trainable_variables:  # all weights are solved for
            self.total_steps = 0
        self.progress = Progress()
        with strategy.scope():
            trainer.compile(optimizer=make_optimizer(config, horizon))
            self.resting_epochs = self.slow_backbones(horizon)
            self.checkpoints = Checkpoints(run.checkpoints, trainer, self.progress)
        self.step: Callable[[Mapping[str, Any]], dict[str, tf.Tensor]] | None = None
        self.sums: dict[str, Any] = {}
        self.clock = 0.0  # time of the last addition to `progress.seconds`

    def slow_backbones(self, horizon: int) -> int:
        """Gives the trainer optimizers for backbones that learn otherwise; returns the epochs that they rest.

        Each has the settings of the run, its own learning rate, and its schedule begins when it does.

        Args:
            horizon: the steps of the settings, at whose end the learning rate has fallen.

        Raises:
            UserError: the backbones would rest to the end of the run.
        """
        found = rates(self.trainer.model, self.config)
        steps = horizon - found.resting_epochs * self.steps_per_epoch
        if found.groups and steps <= 0:
            raise UserError(
                "--freeze_backbone_epochs leaves no epoch in which the backbones are trained. Expected fewer "
                f"epochs than the run has. Received: {found.resting_epochs}, of {horizon} steps with "
                f"{self.steps_per_epoch} an epoch."
            )
        for share, variables in found.groups.items():
            scaled = dataclasses.replace(
                self.config, learning_rate=share * self.config.learning_rate
            )
            self.trainer.backbones.groups.append((make_optimizer(scaled, steps), variables))
        return found.resting_epochs if found.groups else 0

    def go(self) -> None:
        progress = self.progress
        if self.checkpoints.restore():
            logging.info("Goes on at epoch %d, step %d.", progress.epoch + 1, progress.step)
        elif self.run.timing.exists():  # it is written after every checkpoint
            raise UserError(
                f"The run in {str(self.run)!r} has lost its checkpoints, so it cannot go on. Put back "
                "a copy of them, or delete that folder to train anew."
            )
        elif self.task.adapt is not None:
            self.task.adapt(self.trainer.model, self.features)
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
                if self.total_steps:
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
        step = self.current_step()
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
            for name, loss in step(batch).items():
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

    def current_step(self) -> Callable[[Mapping[str, Any]], dict[str, tf.Tensor]]:
        """The compiled step, compiled anew where backbones begin to learn."""
        resting = self.progress.epoch < self.resting_epochs
        if self.step is None or resting != self.trainer.backbones.resting:
            self.trainer.backbones.resting = resting
            self.step = distribute.step_function(self.strategy, self.trainer.train_step)
        return self.step

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
        """Refuses losses and weights that are not finite.

        The losses alone do not show it: oneDNN's relu turns NaN into 0, so NaN weights may give finite losses.
        """
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
        """After an epoch: validates, keeps the model if it is the best so far, decides whether to go on.

        Without validation items the last model is the best, and nothing is done before the end.
        """
        progress, config, validate = self.progress, self.config, self.task.validate
        losses = self.mean_losses()
        self.refuse_divergence(losses)
        ended = progress.step >= self.total_steps
        metrics: dict[str, float] = {}
        merit = 0.0
        if validate is not None or ended:
            if self.task.refit is not None:
                self.task.refit(self.trainer.model, self.solved)
            if validate is not None:
                metrics = dict(validate(self.trainer.model))
                merit = monitored(metrics, config.monitor)
                if progress.best is None:
                    chosen = ", ".join(present(config.monitor, metrics))
                    logging.info("The best epoch has the highest mean of: %s.", chosen)
            if progress.best is None or merit > progress.best:
                progress.best, progress.best_epoch = merit, progress.epoch
                with seals.replacing(self.run.model) as path:
                    self.trainer.model.save(path)
            history.add({"epoch": progress.epoch, "step": progress.step, **losses, **metrics})
        for name, value in {**losses, **{f"validation/{k}": v for k, v in metrics.items()}}.items():
            tf.summary.scalar(name, value, step=progress.step)
        shown = monitored(metrics, config.monitor) if metrics else None
        bar.epoch_line(progress.epoch, losses, "monitor", shown)
        waited = progress.epoch - progress.best_epoch
        progress.finished = ended or (validate is not None and 0 < config.patience <= waited)
        if validate is not None and self.task.ends is not None:
            progress.finished |= self.task.ends(progress.epoch, merit)
        progress.steps_since_validation = 0
        progress.sums = self.sums = {}


class History:
    """`history.jsonl`: a line of losses and metrics for each validation.

    Args:
        run: the folder of the run.
        last_epoch: the last whole epoch of the checkpoint, 0 before the first validation. Later lines were
            written before a kill and are dropped, because their epochs are run again.
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
