"""Batches of decoded pictures and texts from a prepared folder, for end-to-end training.

In the order that it is given, record by record from wherever they lie: shuffled as well as an order
of all items can be, resumable at any step, and with nothing in memory but that order and two batches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.data import examples
from huse_tf.data.pipeline import steps_per_epoch
from huse_tf.data.shard_reader import ShardReader
from huse_tf.errors import UserError

# Each batch decodes on all cores; a second one fills the gaps.
_BATCHES_AT_A_TIME = 2
_PREFETCHED_BATCHES = 2
# Decoded in place of a missing picture: a GIF of one pixel.
_NO_PICTURE = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00"
    b"\x00\x02\x02D\x01\x00;"
)


def picture_batches(
    reader: ShardReader,
    order: np.ndarray,
    batch_size: int,
    decode_pictures: Callable[[tf.Tensor], tf.Tensor],
    *,
    first_step: int = 0,
    worker: tuple[int, int] = (0, 1),
    num_classes: int = 0,
) -> tf.data.Dataset:
    """The batches of one epoch from a step on; equal to the tail of the whole epoch's.

    Args:
        reader: of the prepared folder.
        order: [items] numbers of records: `reader.rows(side)[pipeline.epoch_order(...)]`.
        batch_size: items a batch, over all workers together; the items left over are not met.
        decode_pictures: [b] string, encoded pictures -> [b, height, width, 3] float32 in 0..255, in
            TensorFlow ops; `features.pictures.decode` with a size.
        first_step: steps of this epoch that were made already, in [0, steps_per_epoch].
        worker: (number, count): this worker gets rows number, number + count, ... of every batch,
            so that the batches of all workers together are those of a single one.
        num_classes: K, where items have several labels; 0 where they have one.

    Yields:
        Dicts of tensors, b = batch_size / count: keys.IMAGE [b, height, width, 3] float32 in 0..255,
        keys.TEXT [b] string, both masks and keys.WEIGHT [b] float32, and keys.LABEL [b] int32 or
        keys.LABELS [b, K] float32. The picture of an item without one is black.

    Raises:
        UserError: no batch can be filled, or the workers cannot share one evenly.
        tf.errors.InvalidArgumentError: on iteration: a record is damaged, or its picture cannot be
            decoded; names the item.
    """
    number, count = worker
    steps = steps_per_epoch(len(order), batch_size)
    if batch_size % count:
        raise UserError(
            f"--batch_size is a multiple of the number of workers, {count}. Received: {batch_size}."
        )
    if not 0 <= first_step <= steps:
        raise ValueError(f"first_step is in [0, {steps}]. Received: {first_step}.")
    rows = order[: steps * batch_size].reshape(steps, batch_size)[first_step:, number::count]
    decode = _decoder(decode_pictures, num_classes)
    specs = decode.structured_outputs
    load = _loader(reader, decode)

    def load_dict(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        # In Python, because no TensorFlow op reads at an offset, or tells which picture is broken.
        tensors = tf.py_function(load, [batch], [spec.dtype for spec in specs.values()])
        for tensor, spec in zip(tensors, specs.values(), strict=True):
            tensor.set_shape((batch_size // count, *spec.shape[1:]))
        return dict(zip(specs, tensors, strict=True))

    options = tf.data.Options()
    options.autotune.enabled = False  # its threads can stall the end of an epoch for seconds
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = tf.data.Dataset.from_tensor_slices(rows).map(
        load_dict, num_parallel_calls=_BATCHES_AT_A_TIME, deterministic=True
    )
    return batches.prefetch(_PREFETCHED_BATCHES).with_options(options)


@functools.lru_cache(maxsize=4)  # Tracing takes a second; epochs need it once.
def _decoder(
    decode_pictures: Callable[[tf.Tensor], tf.Tensor], num_classes: int
) -> tf.types.experimental.ConcreteFunction:
    """Records [batch] string -> the batch."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode(records: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.device("CPU:0"):  # An accelerator has better things to do than to resize.
            item = examples.parse(records)
            image_mask = tf.cast(item[examples.IMAGE] != b"", tf.float32)
            images = tf.where(image_mask > 0, item[examples.IMAGE], _NO_PICTURE)
            return {
                keys.IMAGE: decode_pictures(images) * image_mask[:, None, None, None],
                keys.TEXT: item[examples.TEXT],
                keys.IMAGE_MASK: image_mask,
                keys.TEXT_MASK: tf.cast(item[examples.TEXT] != b"", tf.float32),
                keys.WEIGHT: item[examples.WEIGHT],
                **_labels(item[examples.LABELS], num_classes),
            }

    return decode.get_concrete_function()


def _loader(
    reader: ShardReader, decode: tf.types.experimental.ConcreteFunction
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Numbers of records [batch] -> the batch, as a list in the order of the decoder's outputs."""

    def load(batch: tf.Tensor) -> list[tf.Tensor]:
        numbers = batch.numpy()
        records = reader.read(numbers)
        try:
            features = decode(tf.constant(records))
        except tf.errors.InvalidArgumentError:
            _raise_for_broken_item(decode, numbers, records)
            raise
        return [features[key] for key in decode.structured_outputs]

    return load


def _labels(labels: tf.RaggedTensor, num_classes: int) -> dict[str, tf.Tensor]:
    if num_classes:
        hot = tf.reduce_sum(tf.one_hot(labels.to_tensor(-1), num_classes), axis=1)
        return {keys.LABELS: tf.minimum(hot, 1.0)}
    label = tf.cast(labels.to_tensor(-1, shape=(None, 1))[:, 0], tf.int32)
    with tf.control_dependencies([tf.debugging.assert_non_negative(label, "It has no label.")]):
        return {keys.LABEL: tf.identity(label)}


def _raise_for_broken_item(
    decode: tf.types.experimental.ConcreteFunction, numbers: np.ndarray, records: Sequence[bytes]
) -> None:
    for number, record in zip(numbers, records, strict=True):
        try:
            decode(tf.constant([record]))
        except tf.errors.InvalidArgumentError as error:
            raise UserError(
                f"Record {number} of the prepared shards cannot be used: {error.message} "
                f"Its item: {examples.item_json_of(record)[:300]}"
            ) from error
