"""Trains on arrays in memory: the loop of the Python interfaces that know no catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.training.trainer import Trainer


def train_epochs(
    trainer: Trainer, items: Mapping[str, np.ndarray], *, epochs: int, batch_size: int, seed: int
) -> Iterator[int]:
    """Trains for one epoch at a time, and yields the number of each epoch, from 1, after it.

    Args:
        trainer: compiled.
        items: arrays of equal length by key, with the model's inputs and the objective's targets. Labels
            and weights [n, steps] of sequences become one for each row of the model's outputs.
        epochs: passes over the items.
        batch_size: items a step; all of them where there are fewer. An epoch leaves out the items that
            do not fill its last batch.
        seed: of the items' order.
    """
    count = len(next(iter(items.values())))
    batch_size = min(batch_size, count)
    step, generator = tf.function(trainer.train_step), np.random.default_rng(seed)
    for epoch in range(1, epochs + 1):
        order = generator.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            step({key: tf.constant(_rows(key, values[rows])) for key, values in items.items()})
        yield epoch


def _rows(key: str, values: np.ndarray) -> np.ndarray:
    """Labels and weights of sequences as the model's outputs are: a row for each step."""
    return values.reshape(-1) if key in (keys.LABEL, keys.WEIGHT) else values
