"""Training on several replicas: strategies by name, gathering, loss scaling and steps.

No other file knows replicas. Losses over pairs need the global batch. So the trainer gathers the outputs of
all replicas, and every replica computes the same global loss. The optimizer sums the gradients of the R
replicas, and the gradient of a gather also sums over the replicas, so each replica's loss is divided by R
(`share`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from huse_tf.errors import unknown_name


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of that name.

    Args:
        name: "one" (one device), "mirrored" (all GPUs, or all logical CPUs if there is no GPU), or
            "auto" ("mirrored" if there are several GPUs, else "one").

    Raises:
        UserError: the name is unknown.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one"
    if name == "one":
        return tf.distribute.OneDeviceStrategy((gpus or cpus)[0])
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(gpus or cpus)
    raise unknown_name("strategy", name, ("auto", "one", "mirrored"))


def gather(tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Concatenates the tensors of all replicas along the batch: [batch, ...] -> [global batch, ...]."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return dict(tensors)
    return {key: context.all_gather(tensor, axis=0) for key, tensor in tensors.items()}


def share(loss: tf.Tensor) -> tf.Tensor:
    """The loss of the global batch (a scalar), divided by the number of replicas."""
    return loss / tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, loss.dtype)


def squared_norm(gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """The squared norm of the sum of all replicas' gradients.

    Args:
        gradients: the gradients of this replica's loss `share`, one per variable. None counts as zero.

    Returns:
        A scalar, equal on all replicas.
    """
    parts = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        parts = context.all_reduce(tf.distribute.ReduceOp.SUM, parts)
    return tf.add_n([tf.reduce_sum(tf.square(part)) for part in parts])


def distribute_batches(
    strategy: tf.distribute.Strategy, batches: tf.data.Dataset
) -> tf.distribute.DistributedDataset:
    """Splits each global batch of the dataset over the replicas."""
    return strategy.experimental_distribute_dataset(batches)


def step_function(
    strategy: tf.distribute.Strategy, step: Callable[[Mapping[str, Any]], dict[str, tf.Tensor]]
) -> Callable[[Mapping[str, Any]], dict[str, tf.Tensor]]:
    """Compiles a function that runs `step` on every replica.

    Args:
        strategy: the replicas.
        step: maps a batch to scalars by name, which must be equal on all replicas.

    Returns:
        A function from a distributed batch to the scalars of one replica.
    """

    # AutoGraph off: steps have no control flow on tensors, and converting their code is a third of tracing.
    @tf.function(reduce_retracing=True, autograph=False)
    def run(batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        results = strategy.run(step, args=(batch,))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in results.items()
        }

    return run
