"""A term between two modalities that moves one of them only."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf.losses.term import LossTerm, Tensors


@dataclasses.dataclass(frozen=True)
class Anchored:
    """The term's value, without its gradient in one of the outputs.

    Attributes:
        term: reads that output and others.
        key: of the output that stays where the other terms put it (keys.py).
    """

    term: LossTerm
    key: str

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        return self.term({**outputs, self.key: tf.stop_gradient(outputs[self.key])}, batch)
