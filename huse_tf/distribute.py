"""The only file that knows replicas: strategies by name, gathering, loss scaling, running steps.

Pair terms must see the global batch, so the trainer gathers outputs before the objective, and every
replica computes the same global loss. The gradients of the replicas are summed by the optimizer,
and the gradient of a gather sums over the replicas that used it: hence the division in `share`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from huse_tf.errors import unknown_name


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of that name.

    Args:
        name: "one" (one device), "mirrored" (all GPUs, or all logical CPUs where there is none), or
            "auto" (mirrored if there are several GPUs).
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
    """The tensors of all replicas, concatenated along the batch: [batch, ...] -> [global batch, ...]."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return dict(tensors)
    return {key: context.all_gather(tensor, axis=0) for key, tensor in tensors.items()}


def share(loss: tf.Tensor) -> tf.Tensor:
    """This replica's share of a loss that every replica has computed over the global batch."""
    return loss / tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, loss.dtype)


def squared_norm(gradients: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Squared length of a gradient whose addends the replicas hold.

    Args:
        gradients: of this replica's share of the loss, one for each variable; None counts as zero.

    Returns:
        A scalar, the same on every replica.
    """
    parts = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        parts = context.all_reduce(tf.distribute.ReduceOp.SUM, parts)
    return tf.add_n([tf.reduce_sum(tf.square(part)) for part in parts])


def distribute_batches(
    strategy: tf.distribute.Strategy, batches: tf.data.Dataset
) -> tf.distribute.DistributedDataset:
    """The dataset of global batches, each split over the replicas."""
    return strategy.experimental_distribute_dataset(batches)


def step_function(
    strategy: tf.distribute.Strategy, step: Callable[[Mapping], dict[str, tf.Tensor]]
) -> Callable[[Mapping], dict[str, tf.Tensor]]:
    """`step` on every replica, compiled to a graph; its scalars, equal on all, are returned once."""

    # AutoGraph off: steps have no control flow on tensors, and converting their code is a third of tracing.
    @tf.function(reduce_retracing=True, autograph=False)
    def run(batch: Mapping) -> dict[str, tf.Tensor]:
        results = strategy.run(step, args=(batch,))
        return {
            name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in results.items()
        }

    return run
