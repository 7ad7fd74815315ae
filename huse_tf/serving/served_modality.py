"""One modality of a served model: from raw inputs to embeddings and class logits, row by row."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.features.encoder import Encoder
from huse_tf.models.two_tower import modality_model

# Largest number that a client may send as a feature; as for features of a catalogue.
MAX_FEATURE = 1e15
NOT_FINITE = f"The features hold numbers that are not finite, or larger than {MAX_FEATURE:g}."


class Answer(NamedTuple):
    """The outputs of one modality. Rows of missing inputs and of faults are zeros.

    Attributes:
        present: [batch] bool, whether the input is present.
        fault: [batch] string, why a present input cannot be read; "" where there is no fault.
        features: [batch, ...].
        embedding: [batch, D] float32, of unit norm.
        logits: [batch, K] float32.
    """

    present: tf.Tensor
    fault: tf.Tensor
    features: tf.Tensor
    embedding: tf.Tensor
    logits: tf.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class ServedModality:
    """One modality, from the input that a client sends to the embedding and the class logits.

    Attributes:
        name: `keys.IMAGE` or `keys.TEXT`.
        encoder: maps [batch] strings to features. None: clients send features.
        model: maps features to (embedding, logits).
        input: name, shape and type of the input.
        output: name of the embedding.
    """

    name: str
    encoder: Encoder | None
    model: keras.Model
    input: tf.TensorSpec
    output: str

    @classmethod
    def of(cls, name: str, model: keras.Model, encoder: Encoder | None) -> ServedModality:
        """The modality `name` (`keys.IMAGE`, `keys.TEXT`) of a model that embeds both."""
        part = modality_model(model, name)
        raw = keys.IMAGE_BYTES if name == keys.IMAGE else keys.TEXT
        spec = input_spec(encoder, part, raw, keys.features(name))
        return cls(name, encoder, part, spec, keys.embedding(name))

    @tf.function  # traced once, though several signatures call it
    def __call__(self, values: tf.Tensor) -> Answer:
        """The answer for [batch] strings, or for [batch, ...] features if there is no encoder.

        Only inputs that are present are encoded.
        """
        present = is_present(self.encoder, values)
        rows = tf.where(present)
        features, faults = encoded(self.encoder, self.name, tf.gather(values, rows[:, 0]))
        embedding, logits = self.model(features, training=False)
        right = (faults == "")[:, tf.newaxis]
        found = (faults, features, *(tf.where(right, each, 0.0) for each in (embedding, logits)))
        return Answer(present, *(scattered(rows, values, present) for values in found))


def input_spec(
    encoder: Encoder | None, part: keras.Model, raw: str, features: str
) -> tf.TensorSpec:
    """What a client sends: [batch] strings named `raw`, or features if there is no encoder."""
    if encoder is None:
        return tf.TensorSpec(part.input.shape, part.input.dtype, features)
    return tf.TensorSpec([None], tf.string, raw)


def is_present(encoder: Encoder | None, values: tf.Tensor) -> tf.Tensor:
    """[batch] bool: whether the input is present.

    The encoder decides which strings are missing (`Encoder.present`). Without an encoder a row of zeros
    is missing.
    """
    if encoder is None:
        return tf.reduce_any(values != 0, axis=list(range(1, values.shape.rank)))
    return encoder.present(values)


def encoded(encoder: Encoder | None, name: str, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Features of the modality `name` (`keys.IMAGE`, `keys.TEXT`).

    Returns:
        ([batch, ...] features; [batch] string, "" or why the row has none, whose features are then zeros).
    """
    features, faults = values, tf.fill([tf.shape(values)[0]], "")
    if encoder is not None and name == keys.IMAGE:
        features, faults = encoder.encode_rows(values)
    elif encoder is not None:
        features = encoder(values)
    if not features.dtype.is_floating:
        return features, faults
    axes = list(range(1, features.shape.rank))
    # A comparison with NaN is False.
    finite = tf.reduce_all(tf.abs(features) <= MAX_FEATURE, axis=axes, keepdims=True)
    faults = tf.where(tf.reshape(finite, [-1]) | (faults != ""), faults, NOT_FINITE)
    return tf.where(finite, features, 0.0), faults


def scattered(rows: tf.Tensor, values: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    """Puts values into some rows of a batch; the others are zeros, or "".

    Args:
        rows: [m, 1] int64.
        values: [m, ...].
        batch: [batch], of any type.

    Returns:
        [batch, ...].
    """
    size = tf.shape(batch, out_type=tf.int64)
    shape = tf.concat([size, tf.shape(values, out_type=tf.int64)[1:]], 0)
    return tf.ensure_shape(tf.scatter_nd(rows, values, shape), [None, *values.shape[1:]])
