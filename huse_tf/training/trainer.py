"""One custom `train_step` for every method, on any number of replicas."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from huse_tf import distribute
from huse_tf.losses.objective import Objective
from huse_tf.losses.term import Tensors


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

    def call(self, features: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        features = {key: features[key] for key in self.model.input}
        return self.model(features, training=training)

    def train_step(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """One step on this replica's part of a batch; returns the losses of the global batch by name."""
        variables = self.trainable_variables
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
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return report
