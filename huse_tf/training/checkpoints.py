"""Everything that a killed run needs to go on to the same result."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import keras
import tensorflow as tf

from huse_tf.errors import UserError


@dataclasses.dataclass
class Progress(tf.train.experimental.PythonState):
    """Where training stands; saved inside the checkpoint, so that both are of one moment.

    Attributes:
        epoch: whole epochs done; the one under way counts from 0.
        step: optimizer steps done in all.
        step_in_epoch: steps done in this epoch.
        steps_since_validation: steps done since the last validation.
        sums: sums over these steps of each loss.
        seconds: spent on training and validation up to this checkpoint, pauses not counted.
        best: best value of the monitored metric so far, None before the first validation.
        best_epoch: how many epochs were done when it was reached.
        finished: whether training has come to its end.
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


class Checkpoints:
    """The two newest checkpoints of a trainer: weights, optimizer slots, dropout's seeds, progress."""

    def __init__(self, folder: pathlib.Path, trainer: keras.Model, progress: Progress) -> None:
        # Slots are made with the first step otherwise, too late to be restored into.
        trainer.optimizer.build(trainer.trainable_variables)
        # What is a variable but no weight: the seeds of dropout, which TensorFlow does not track.
        weights = {id(variable) for variable in trainer.model.weights}
        seeds = [v.value for v in trainer.model.variables if id(v) not in weights]
        checkpoint = tf.train.Checkpoint(
            model=trainer.model, optimizer=trainer.optimizer, seeds=seeds, progress=progress
        )
        self._checkpoint = checkpoint
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)
        self._progress = progress

    def restore(self) -> bool:
        """Restores the newest checkpoint; False if there is none.

        Raises:
            UserError: it holds the variables of another model.
        """
        newest = self._manager.latest_checkpoint
        if newest is None:
            return False
        try:
            self._checkpoint.restore(newest).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise UserError(
                f"The checkpoint {newest!r} is of another model than these settings make here: another "
                "version of huse_tf wrote it. Go on with that version, or give another --run_dir to "
                "train anew."
            ) from error
        return True

    def save(self) -> None:
        self._manager.save(checkpoint_number=self._progress.step)
