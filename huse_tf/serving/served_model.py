"""The graphs of a served model, from raw inputs to embeddings and classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.data.classes.taxonomy import path_name
from huse_tf.features.encoder import Encoder
from huse_tf.models.two_tower import fusion_model, modality_model
from huse_tf.serving.exported import Exported

MAX_CLASSES = 10  # of one item in an answer

CLASSES = "classes"  # [batch, k] string, class paths, best first; k = min(K, MAX_CLASSES)
SCORES = "scores"  # [batch, k] float32, probabilities of CLASSES, in descending order

Tensors = dict[str, tf.Tensor]
ConcreteFunction: TypeAlias = tf.types.experimental.ConcreteFunction


class Answer(NamedTuple):
    """The outputs of one modality.

    Attributes:
        features: [batch, ...].
        embedding: [batch, D] float32. Rows have unit norm; rows of missing inputs are zero.
        logits: [batch, K] float32. Rows of missing inputs mean nothing.
    """

    features: tf.Tensor
    embedding: tf.Tensor
    logits: tf.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class ServedModality:
    """One modality, from the input that a client sends to the embedding and the class logits.

    Attributes:
        encoder: maps [batch] strings to features. None: clients send features.
        model: maps features to (embedding, logits).
        input: name, shape and type of the input.
        output: name of the embedding.
        placeholder: the encoder's input in rows where the client's input is missing.
    """

    encoder: Encoder | None
    model: keras.Model
    input: tf.TensorSpec
    output: str
    placeholder: bytes

    @classmethod
    def of_image(cls, model: keras.Model, encoder: Encoder | None) -> ServedModality:
        """The image modality of a model that embeds both modalities."""
        part = modality_model(model, keys.IMAGE)
        spec = _input_spec(encoder, part, keys.IMAGE_BYTES, keys.IMAGE_FEATURES)
        pixel = tf.io.encode_png(tf.zeros((1, 1, 3), tf.uint8)).numpy()
        return cls(encoder, part, spec, keys.IMAGE_EMBEDDING, pixel)

    @classmethod
    def of_text(cls, model: keras.Model, encoder: Encoder | None) -> ServedModality:
        """The text modality of a model that embeds both modalities."""
        part = modality_model(model, keys.TEXT)
        spec = _input_spec(encoder, part, keys.TEXT, keys.TEXT_FEATURES)
        return cls(encoder, part, spec, keys.TEXT_EMBEDDING, b"")

    def present(self, values: tf.Tensor) -> tf.Tensor:
        """[batch] bool: whether the input is present.

        The encoder decides which strings are missing (`Encoder.present`). Without an encoder a row of
        zeros is missing.
        """
        if self.encoder is None:
            return tf.reduce_any(values != 0, axis=1)
        return self.encoder.present(values)

    @tf.function  # traced once, though several signatures call it
    def __call__(self, values: tf.Tensor) -> Answer:
        """The answer for [batch] strings, or for [batch, ...] features if there is no encoder."""
        present = self.present(values)
        features = values
        if self.encoder is not None:
            features = self.encoder(tf.where(present, values, self.placeholder))
        embedding, logits = self.model(features, training=False)
        return Answer(features, tf.where(present[:, tf.newaxis], embedding, 0.0), logits)


def _input_spec(
    encoder: Encoder | None, part: keras.Model, raw: str, features: str
) -> tf.TensorSpec:
    if encoder is None:
        return tf.TensorSpec(part.input.shape, part.input.dtype, features)
    return tf.TensorSpec([None], tf.string, raw)


class ServedModel:
    """A model of both modalities, joined to its encoders, with class names in place of labels.

    Args:
        exported: the model, its encoders and its classes.

    Raises:
        ValueError: the taxonomy or the fusion weight does not fit the model.
    """

    def __init__(self, exported: Exported) -> None:
        model, classes = exported.model, exported.taxonomy.classes
        labels = model.output[keys.IMAGE_LOGITS].shape[-1]
        if len(classes) != labels:
            raise ValueError(
                f"The model has {labels} classes, but the taxonomy has {len(classes)}. Export the model "
                "with the taxonomy that it was trained with."
            )
        self._fusion = fusion_model(model)
        weight = exported.fusion_weight if self._fusion is None else 0.0  # 0.0 is never read
        if weight is None or not 0 <= weight <= 1:
            raise ValueError(f"A fusion weight lies in [0, 1]. Received: {exported.fusion_weight}.")
        self._image = ServedModality.of_image(model, exported.image_encoder)
        self._text = ServedModality.of_text(model, exported.text_encoder)
        self._classes = [path_name(path) for path in classes]
        self._fusion_weight = weight
        self._to_probabilities = tf.sigmoid if exported.multi_label else tf.nn.softmax

    def signatures(self) -> dict[str, ConcreteFunction]:
        """The signatures by name; each has named inputs and outputs."""
        image, text = self._image, self._text
        return {
            "embed_image": _trace(self._embed, image),
            "embed_text": _trace(self._embed, text),
            "classify_image": _trace(self._classify, image),
            "classify_text": _trace(self._classify, text),
            "classify": _trace(self._classify, image, text),
            "serving_default": _trace(self._embed_and_classify, image, text),
        }

    def _embed(self, inputs: Tensors) -> Tensors:
        """The embeddings of the modalities that the signature takes."""
        return _embeddings(self._answers(inputs))

    def _classify(self, inputs: Tensors) -> Tensors:
        return self._best_classes(inputs, self._answers(inputs))

    def _embed_and_classify(self, inputs: Tensors) -> Tensors:
        answers = self._answers(inputs)
        return _embeddings(answers) | self._best_classes(inputs, answers)

    def _answers(self, inputs: Tensors) -> dict[str, Answer]:
        """The answers of the signature's modalities, by the name of the embedding."""
        given = [each for each in (self._image, self._text) if each.input.name in inputs]
        return {each.output: each(inputs[each.input.name]) for each in given}

    def _best_classes(self, inputs: Tensors, answers: dict[str, Answer]) -> Tensors:
        """The best classes and their scores, from one modality or from both, fused."""
        probabilities = {
            name: self._to_probabilities(answer.logits) for name, answer in answers.items()
        }
        if len(probabilities) == 1:
            (scores,) = probabilities.values()
        else:
            scores = self._fused(inputs, answers, probabilities)
        # Equal scores come in the order of their labels.
        best, labels = tf.math.top_k(scores, min(MAX_CLASSES, len(self._classes)))
        return {CLASSES: tf.gather(tf.constant(self._classes), labels), SCORES: best}

    def _fused(
        self, inputs: Tensors, answers: dict[str, Answer], probabilities: Tensors
    ) -> tf.Tensor:
        """[batch, K] probabilities from both modalities; from the present one if one is missing."""
        modalities = (self._image, self._text)
        image, text = (probabilities[each.output] for each in modalities)
        has_image, has_text = (
            each.present(inputs[each.input.name])[:, tf.newaxis] for each in modalities
        )
        if self._fusion is None:
            both = self._fusion_weight * image + (1 - self._fusion_weight) * text
        else:
            known = {
                **_embeddings(answers),
                keys.IMAGE_FEATURES: answers[keys.IMAGE_EMBEDDING].features,
                keys.TEXT_FEATURES: answers[keys.TEXT_EMBEDDING].features,
            }
            read = {name: known[name] for name in self._fusion.input}
            both = self._to_probabilities(self._fusion(read, training=False))
        return tf.where(has_text, tf.where(has_image, both, text), image)


def _embeddings(answers: dict[str, Answer]) -> Tensors:
    return {name: answer.embedding for name, answer in answers.items()}


def _trace(function: Callable[[Tensors], Tensors], *modalities: ServedModality) -> ConcreteFunction:
    """The graph of `function` on the inputs of `modalities`.

    The graph refuses inputs of unequal batch sizes, and rows in which every input is missing.
    """
    specs = [each.input for each in modalities]
    names = [spec.name for spec in specs]

    def checked(**inputs: tf.Tensor) -> Tensors:
        sizes = [tf.shape(value)[0] for value in inputs.values()]
        # Without this check a batch of one would be broadcast over the other input.
        check = tf.debugging.assert_equal(
            sizes[0], sizes[-1], f"{' and '.join(names)} must have equally many rows."
        )
        with tf.control_dependencies([check]):
            present = [each.present(tf.identity(inputs[each.input.name])) for each in modalities]
        missing = tf.where(~tf.reduce_any(tf.stack(present), axis=0))[:, 0]
        check = tf.debugging.Assert(
            tf.equal(tf.size(missing), 0),
            [f"Every row needs its {' or its '.join(names)}. Rows without, from 0:", missing],
        )
        with tf.control_dependencies([check]):
            return function({name: tf.identity(value) for name, value in inputs.items()})

    return tf.function(checked).get_concrete_function(**{spec.name: spec for spec in specs})
