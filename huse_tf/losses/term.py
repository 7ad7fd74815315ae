"""The shape of a loss term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import tensorflow as tf

Tensors = Mapping[str, tf.Tensor]


class LossTerm(Protocol):
    """One addend of an objective. Owns no variables; sees the global batch, gathered over replicas."""

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        """A finite scalar >= 0, from the model's outputs and the batch (keys and shapes: keys.py)."""
        ...
