"""One custom `train_step` for every method, on any number of replicas."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from huse_tf import distribute
from huse_tf.losses.objective import Objective
from huse_tf.losses.term import Tensors

Group: TypeAlias = tuple[keras.Optimizer, Sequence[keras.Variable]]


@dataclasses.dataclass(eq=False)
class BackboneOptimizers:
    """Optimizers of backbones' weights that do not learn as fast as the rest (`training.backbones`).

    Attributes:
        groups: each optimizer with its weights.
        resting: whether these weights do not move now.
    """

    groups: list[Group] = dataclasses.field(default_factory=list)
    resting: bool = False


class Trainer(keras.Model):
    """A model with an objective. Calling it is calling the model.

    `training.loop.fit` runs `train_step` under `tf.distribute`. On one device Keras's own `fit` works too.

    Args:
        model: a functional model, feature dict in, output dict out (keys.py).
        objective: what is minimised.
        clip_norm: largest norm of the gradient of all weights, summed over replicas; 0: no limit.
    """

    def __init__(
        self, model: keras.Model, objective: Objective, clip_norm: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.objective = objective
        self.clip_norm = clip_norm
        self.backbones = BackboneOptimizers()

    def groups(self) -> list[Group]:
        """The optimizers, each with the weights that it moves; the first is for all that no other has."""
        others = self.backbones.groups
        theirs = {id(variable) for _, variables in others for variable in variables}
        own = [each for each in self.trainable_variables if id(each) not in theirs]
        return [(self.optimizer, own), *others]

    def call(self, features: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        features = {key: features[key] for key in self.model.input}
        return self.model(features, training=training)

    def train_step(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """One step on this replica's part of a batch; returns the losses of the global batch by name."""
        groups = self.groups()[:1] if self.backbones.resting else self.groups()
        variables = [each for _, group in groups for each in group]
        # Persistent, because an objective may need the gradient of each of its terms.
        with tf.GradientTape(persistent=True) as tape:

            def squared_gradient(loss: tf.Tensor) -> tf.Tensor:
                part = distribute.share(loss)
                with tape.stop_recording():
                    return distribute.squared_norm(tape.gradient(part, variables))

            outputs = distribute.gather(self(batch, training=True))
            targets = distribute.gather({key: batch[key] for key in self.objective.targets})
            total, report = self.objective(outputs, targets, squared_gradient)
            loss = distribute.share(total)
        gradients = tape.gradient(loss, variables)
        if self.clip_norm:
            norm = tf.sqrt(distribute.squared_norm(gradients))
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        left = iter(gradients)
        for optimizer, group in groups:
            optimizer.apply_gradients([(next(left), variable) for variable in group])
        return report
