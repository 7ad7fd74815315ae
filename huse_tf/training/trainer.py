"""One custom `train_step` for every method, on any number of replicas."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from huse_tf import distribute
from huse_tf.losses.term import Tensors
from huse_tf.training.objective import Objective


class Trainer(keras.Model):
    """A model with an objective. Calling it is calling the model.

    The loop of this package drives `train_step` through `tf.distribute`; on one device `fit` does
    as well.

    Args:
        model: a functional model, feature dict in, output dict out (keys.py).
        objective: what is minimised.
    """

    def __init__(self, model: keras.Model, objective: Objective, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.objective = objective

    def call(self, features: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        features = {key: features[key] for key in self.model.input}
        return self.model(features, training=training)

    def train_step(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """One step on this replica's part of a batch; returns the losses of the global batch."""
        with tf.GradientTape() as tape:
            outputs = distribute.gather(self(batch, training=True))
            targets = distribute.gather({key: batch[key] for key in self.objective.targets})
            total, report = self.objective(outputs, targets)
            loss = distribute.share(total)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return report
