"""Batches of features in an order that depends on seed and epoch alone, so any step can be resumed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError

_PREFETCHED_BATCHES = 2


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """[count] int64: the items' indices in the order in which this epoch meets them."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Number of full batches; the items left over in one epoch are met in another.

    Raises:
        UserError: not even one batch can be filled.
    """
    if not 1 <= batch_size <= count:
        raise UserError(
            f"--batch_size is from 1 to the number of training items, {count}. "
            f"Received: {batch_size}."
        )
    return count // batch_size


def training_batches(
    features: Mapping[str, np.ndarray], order: np.ndarray, batch_size: int, first_step: int = 0
) -> tf.data.Dataset:
    """The batches of one epoch from a step on; equal to the tail of the whole epoch's.

    Arrays may be memory-mapped: only the rows of a batch are read. Batches are of one size, so that
    every replica gets the same share; to be distributed without sharding, each batch whole.

    Args:
        features: per key an array [items, ...]; the batch has the same keys.
        order: [items] indices into the arrays, from `epoch_order`.
        batch_size: items a batch, over all replicas together.
        first_step: steps of this epoch that were made already, in [0, steps_per_epoch].

    Yields:
        Dicts of tensors [batch_size, ...] in the arrays' types.
    """
    steps = steps_per_epoch(len(order), batch_size)
    if not 0 <= first_step <= steps:
        raise ValueError(f"first_step is in [0, {steps}]. Received: {first_step}.")
    indices = order[: steps * batch_size].reshape(steps, batch_size)[first_step:]
    arrays = list(features.values())

    def gather(batch: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(array[batch]) for array in arrays]

    def load(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        # Outside the graph, which would hold a copy of all features as constants.
        tensors = tf.numpy_function(gather, [batch], [array.dtype for array in arrays])
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.set_shape((batch_size, *array.shape[1:]))
        return dict(zip(features, tensors, strict=True))

    options = tf.data.Options()
    options.autotune.enabled = False  # its threads can stall the end of an epoch for seconds
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = tf.data.Dataset.from_tensor_slices(indices).map(load)
    return batches.prefetch(_PREFETCHED_BATCHES).with_options(options)
