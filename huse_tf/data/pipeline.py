"""Batches of features. Their order depends on seed and epoch only, so any step can be resumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError

Batch = dict[str, np.ndarray]
# Changes a batch in place, or adds keys to it. Takes the batch (arrays by key, keys.py), the indices of
# its items [batch], and a random generator.
Change = Callable[[Batch, np.ndarray, np.random.Generator], None]

_PREFETCHED_BATCHES = 2
# Last number of a step's seed. The epoch's order has none; without it NumPy would take the seed
# [1, 2, 0] of step 0 for the seed [1, 2] of the order.
_STEP = 1


def epoch_order(
    count: int, seed: int, epoch: int, members: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """The items' indices in the order of one epoch.

    Args:
        count: number of items.
        seed, epoch: seed of the order.
        members: per class, the indices of its items. If given, every draw picks a class uniformly,
            then one of its items, both with replacement. Otherwise every item is drawn once.

    Returns:
        [count] int64.
    """
    generator = np.random.default_rng([seed, epoch])
    if members is None:
        return generator.permutation(count)
    sizes = np.array([len(items) for items in members])
    classes = generator.integers(len(members), size=count)
    places = np.cumsum(sizes)[classes] - sizes[classes] + generator.integers(sizes[classes])
    return np.concatenate(members)[places]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Number of full batches in an epoch. An incomplete last batch is dropped.

    Raises:
        UserError: the items do not fill one batch.
    """
    if not 1 <= batch_size <= count:
        raise UserError(
            f"--batch_size is from 1 to the number of training items, {count}. "
            f"Received: {batch_size}."
        )
    return count // batch_size


def training_batches(
    features: Mapping[str, np.ndarray],
    order: np.ndarray,
    batch_size: int,
    first_step: int = 0,
    *,
    changes: Sequence[Change] = (),
    seed: Sequence[int] = (),
) -> tf.data.Dataset:
    """The batches of one epoch, from a step on.

    Arrays may be memory-mapped: only the rows of a batch are read. All batches have the same size, so
    that every replica gets the same share. Distribute the dataset without sharding.

    Args:
        features: key -> array [items, ...]. A batch has these keys and those that changes add.
        order: [items] indices into the arrays, from `epoch_order`.
        batch_size: items in a batch, over all replicas together.
        first_step: number of steps of this epoch to skip, in [0, steps_per_epoch].
        changes: applied to each batch, in this order.
        seed: run seed and epoch. Together with the step they seed the changes.

    Yields:
        Dicts of tensors [batch_size, ...] in the arrays' types.
    """
    steps = steps_per_epoch(len(order), batch_size)
    if not 0 <= first_step <= steps:
        raise ValueError(f"first_step is in [0, {steps}]. Received: {first_step}.")
    indices = order[: steps * batch_size].reshape(steps, batch_size)[first_step:]

    def changed(step: int, rows: np.ndarray) -> Batch:
        batch = {key: np.asarray(array[rows]) for key, array in features.items()}
        generator = np.random.default_rng([*seed, step, _STEP])
        for change in changes:
            change(batch, rows, generator)
        return batch

    # Changes may add keys. A small batch shows their names, types and shapes.
    sample = changed(0, order[: min(batch_size, 2)])

    def gather(step: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        batch = changed(int(step), rows)
        return [batch[key] for key in sample]

    def load(step: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        # By numpy_function, because a graph would hold a copy of all features as constants.
        types = [array.dtype for array in sample.values()]
        tensors = tf.numpy_function(gather, [step, rows], types)
        for tensor, array in zip(tensors, sample.values(), strict=True):
            tensor.set_shape((batch_size, *array.shape[1:]))
        return dict(zip(sample, tensors, strict=True))

    options = tf.data.Options()
    options.autotune.enabled = False  # its threads can stall the end of an epoch for seconds
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = tf.data.Dataset.from_tensor_slices((np.arange(first_step, steps), indices)).map(load)
    return batches.prefetch(_PREFETCHED_BATCHES).with_options(options)


@dataclasses.dataclass(frozen=True)
class ModalityDropout:
    """Drops the image of some complete items of a batch, and the text of others.

    A dropped modality looks like a missing one: its features and its mask are 0. No item loses both.

    Attributes:
        share: probability that a complete item loses one modality, in [0, 1]; half of it for each.
    """

    share: float

    def __call__(self, batch: Batch, rows: np.ndarray, generator: np.random.Generator) -> None:
        complete = (batch[keys.IMAGE_MASK] > 0) & (batch[keys.TEXT_MASK] > 0)
        chance = generator.random(len(complete))
        image_lost = complete & (chance < self.share / 2)
        text_lost = complete & (self.share / 2 <= chance) & (chance < self.share)
        for lost, features, mask in (
            (image_lost, keys.IMAGE_FEATURES, keys.IMAGE_MASK),
            (text_lost, keys.TEXT_FEATURES, keys.TEXT_MASK),
        ):
            batch[features][lost] = 0
            batch[mask][lost] = 0
