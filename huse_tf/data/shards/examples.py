"""One item of a prepared folder: a `tf.train.Example` that tf.data can train from."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

IMAGE = "image"  # bytes: the encoded image; empty if the item has none
TEXT = "text"  # bytes: UTF-8; empty if the item has none
LABELS = "label"  # int64 list: class ids
WEIGHT = "weight"  # float
SPLIT = "split"  # bytes: keys.TRAIN, ..., or empty
ITEM_JSON = "item_json"  # bytes: UTF-8 JSON of all that the catalogue says about the item

_SCHEMA = {
    IMAGE: tf.io.FixedLenFeature([], tf.string),
    TEXT: tf.io.FixedLenFeature([], tf.string),
    LABELS: tf.io.RaggedFeature(tf.int64),
    WEIGHT: tf.io.FixedLenFeature([], tf.float32),
    SPLIT: tf.io.FixedLenFeature([], tf.string),
    ITEM_JSON: tf.io.FixedLenFeature([], tf.string),
}


def example(
    item_json: str,
    image: bytes,
    *,
    text: str = "",
    labels: Sequence[int] = (),
    weight: float = 1.0,
    split: str = "",
) -> bytes:
    """The item as a serialized `tf.train.Example`; equal items give equal bytes.

    Args:
        item_json: JSON of all that the catalogue says about the item.
        image: encoded image file; b"" if the item has none.
        text: the item's joined text; "" if it has none.
        labels: class ids in [0, K); several with --multi_label.
        weight: the item's weight in training.
        split: `keys.TRAIN` or another split; "" if the items have none.
    """
    features = {
        IMAGE: _bytes(image),
        TEXT: _bytes(text.encode()),
        LABELS: tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
        WEIGHT: tf.train.Feature(float_list=tf.train.FloatList(value=[weight])),
        SPLIT: _bytes(split.encode()),
        ITEM_JSON: _bytes(item_json.encode()),
    }
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)


def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """The features of a batch, by the names above.

    Args:
        serialized: [batch] string, from `example`.

    Returns:
        Tensors [batch]: string, but `weight` float32, and `label` int64 ragged [batch, (labels)].

    Raises:
        tf.errors.InvalidArgumentError: not an Example, or one that lacks a feature.
    """
    return tf.io.parse_example(serialized, _SCHEMA)


def split_of(serialized: bytes) -> str:
    """The split that `example` was given."""
    return _text_of(serialized, SPLIT)


def item_json_of(serialized: bytes) -> str:
    """The JSON that `example` was given."""
    return _text_of(serialized, ITEM_JSON)


def _text_of(serialized: bytes, feature: str) -> str:
    message = tf.train.Example.FromString(serialized)
    [value] = message.features.feature[feature].bytes_list.value
    return value.decode()


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
