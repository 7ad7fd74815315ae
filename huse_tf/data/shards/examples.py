"""Items of a prepared folder as `tf.train.Example` messages, which tf.data can read directly."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

IMAGE = "image"  # bytes: the encoded image; empty if the item has none
TEXT = "text"  # bytes: UTF-8; empty if the item has none
LABELS = "label"  # int64 list: class ids
WEIGHT = "weight"  # float
SPLIT = "split"  # bytes: keys.TRAIN, ..., or empty
ITEM_JSON = "item_json"  # bytes: UTF-8 JSON of the item's other cells in the catalogue

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
    """Serializes an item as `tf.train.Example`. Equal items give equal bytes.

    Args:
        item_json: JSON of the item's other cells in the catalogue.
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
    """Parses a batch of serialized items.

    Args:
        serialized: [batch] string, from `example`.

    Returns:
        "image", "text", "split" and "item_json": [batch] string. "weight": [batch] float32.
        "label": ragged [batch, (labels)] int64.

    Raises:
        tf.errors.InvalidArgumentError: a message is not an Example, or lacks a feature.
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
