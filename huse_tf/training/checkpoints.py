"""Checkpoints: a killed run goes on from one to the same result.

A checkpoint is a folder `step-N` with the digests of its files. It is whole or absent, and it is verified before
it is read. Only folders with such names are read and removed, and none through a link.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from typing import Any

import tensorflow as tf
from absl import logging

from huse_tf import files, seals
from huse_tf.errors import UserError
from huse_tf.training.trainer import Trainer

_NAME = re.compile(r"step-(\d+)", re.ASCII)
_STATE = "state"  # prefix of TensorFlow's file names
_KEPT = 2


@dataclasses.dataclass
class Progress(tf.train.experimental.PythonState):
    """Where training stands; saved inside the checkpoint, so that both are of one moment.

    Attributes:
        epoch: whole epochs done.
        step: optimizer steps done.
        step_in_epoch: steps done in this epoch.
        steps_since_validation: steps done since the last validation.
        sums: sum of each loss over the steps since the last validation.
        seconds: spent on training and validation up to this checkpoint, pauses not counted.
        best: best value of the monitored metric so far, None before the first validation.
        best_epoch: whole epochs done when it was reached.
        finished: whether training is over.
    """

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    steps_since_validation: int = 0
    sums: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    finished: bool = False

    def serialize(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def deserialize(self, string_value: str) -> None:
        for name, value in json.loads(string_value).items():
            setattr(self, name, value)


def saved_steps(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints in `folder`, the newest first, whole or damaged."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = [
        int(named[1])
        for path in folder.iterdir()
        if (named := _NAME.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()
    ]
    return sorted(found, reverse=True)


class Checkpoints:
    """The two newest checkpoints of a trainer: weights, optimizer slots, dropout's seeds, progress.

    Raises:
        UserError: the folder is a link, so old checkpoints would be removed elsewhere.
    """

    def __init__(self, folder: pathlib.Path, trainer: Trainer, progress: Progress) -> None:
        if folder.is_symlink():
            raise UserError(
                f"{str(folder)!r} is a link. Expected a folder, because old checkpoints are deleted in it. "
                "Put it in the link's place, or give another --run_dir."
            )
        # Keras makes slots at the first step, which is too late to restore into them.
        groups = trainer.groups()
        for optimizer, variables in groups:
            optimizer.build(variables)
        backbones = {f"optimizer_{n}": optimizer for n, (optimizer, _) in enumerate(groups) if n}
        # Variables that are no weights: the seeds of dropout. TensorFlow does not track them.
        weights = {id(variable) for variable in trainer.model.weights}
        seeds = [v.value for v in trainer.model.variables if id(v) not in weights]
        self._checkpoint: Any = tf.train.Checkpoint(
            model=trainer.model,
            optimizer=trainer.optimizer,
            seeds=seeds,
            progress=progress,
            **backbones,
        )
        self._folder, self._progress = folder, progress

    def restore(self) -> bool:
        """Restores the newest whole checkpoint; returns False if there is no checkpoint.

        Damaged newer ones are logged, and removed once an older one is restored.

        Raises:
            UserError: all are damaged, or one holds the variables of another model.
        """
        steps = saved_steps(self._folder)
        damaged: list[pathlib.Path] = []
        for step in steps:
            path = self._folder / f"step-{step}"
            try:
                seals.check_sealed(path)
            except seals.Damaged as error:
                logging.warning("Checkpoint of step %d: %s", step, error)
                damaged.append(path)
                continue
            self._restore(path)
            for each in damaged:
                files.remove(each)
            return True
        if steps:
            run = str(self._folder.parent)
            raise UserError(
                f"No checkpoint in {str(self._folder)!r} is whole, so this run cannot go on. Put back a "
                f"copy of them, or delete the folder {run!r} to train anew."
            )
        return False

    def _restore(self, path: pathlib.Path) -> None:
        try:
            self._checkpoint.read(str(path / _STATE)).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise UserError(
                f"The checkpoint {str(path)!r} is of another model than these settings make here: another "
                "version of huse_tf wrote it. Go on with that version, or give another --run_dir to "
                "train anew."
            ) from error

    def save(self) -> None:
        with files.replacing_folder(self._folder / f"step-{self._progress.step}") as temporary:
            self._checkpoint.write(str(temporary / _STATE))
            seals.seal(temporary)
        for step in saved_steps(self._folder)[_KEPT:]:
            files.remove(self._folder / f"step-{step}")
