"""What is served: raw inputs in, embeddings and classes out, all of it inside one graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.features.encoder import Encoder
from huse_tf.models.two_tower import fusion_model, modality_model

MAX_CLASSES = 10  # in an answer, for each item

CLASSES = "classes"  # [batch, k] string, class paths, best first
SCORES = "scores"  # [batch, k] float32, their probabilities, falling

Tensors = dict[str, tf.Tensor]
ConcreteFunction: TypeAlias = tf.types.experimental.ConcreteFunction


class Answer(NamedTuple):
    """Of one modality: features [batch, ...], float32 embedding [batch, D] and logits [batch, K].

    Embeddings are rows of unit norm, or of zeros where the input is missing.
    """

    features: tf.Tensor
    embedding: tf.Tensor
    logits: tf.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One modality, from what a client sends to its embedding and class logits.

    Attributes:
        encoder: from [batch] strings to features, or None where clients send features.
        model: from features to (embedding, logits).
        input: name, shape and type of what clients send.
        output: name of the embedding.
        stand_in: what the encoder gets where the input is missing.
    """

    encoder: Encoder | None
    model: keras.Model
    input: tf.TensorSpec
    output: str
    stand_in: bytes

    @classmethod
    def of_image(cls, model: keras.Model, encoder: Encoder | None) -> Side:
        part = modality_model(model, keys.IMAGE)
        spec = _input_spec(encoder, part, keys.IMAGE_BYTES, keys.IMAGE_FEATURES)
        pixel = tf.io.encode_png(tf.zeros((1, 1, 3), tf.uint8)).numpy()
        return cls(encoder, part, spec, keys.IMAGE_EMBEDDING, pixel)

    @classmethod
    def of_text(cls, model: keras.Model, encoder: Encoder | None) -> Side:
        part = modality_model(model, keys.TEXT)
        spec = _input_spec(encoder, part, keys.TEXT, keys.TEXT_FEATURES)
        return cls(encoder, part, spec, keys.TEXT_EMBEDDING, b"")

    def present(self, values: tf.Tensor) -> tf.Tensor:
        """[batch] bool: whether the input is there.

        Missing is what the encoder takes for nothing (`Encoder.present`), or a row of features that are
        all zero.
        """
        if self.encoder is None:
            return tf.reduce_any(values != 0, axis=1)
        return self.encoder.present(values)

    @tf.function  # traced once, though several signatures call it
    def __call__(self, values: tf.Tensor) -> Answer:
        """What the model says of these inputs; features and logits of missing ones mean nothing."""
        present = self.present(values)
        features = values
        if self.encoder is not None:
            features = self.encoder(tf.where(present, values, self.stand_in))
        embedding, logits = self.model(features, training=False)
        return Answer(features, tf.where(present[:, tf.newaxis], embedding, 0.0), logits)


def _input_spec(
    encoder: Encoder | None, part: keras.Model, raw: str, features: str
) -> tf.TensorSpec:
    if encoder is None:
        return tf.TensorSpec(part.input.shape, part.input.dtype, features)
    return tf.TensorSpec([None], tf.string, raw)


class ServedModel:
    """A model of both modalities behind its encoders, with class names instead of labels.

    Args:
        model: from features of both modalities to embeddings and logits (keys.py).
        image_encoder: in front of the model, or None where clients send image features.
        text_encoder: likewise, or None where clients send text features.
        classes: K class paths, in the order of the labels.
        fusion_weight: in [0, 1], the picture's share of the fused class probabilities; None for a
            model that fuses picture and text itself.
        multi_label: whether items have several classes, each with a probability of its own.
    """

    def __init__(
        self,
        model: keras.Model,
        image_encoder: Encoder | None,
        text_encoder: Encoder | None,
        classes: list[str],
        fusion_weight: float | None,
        multi_label: bool = False,
    ) -> None:
        labels = model.output[keys.IMAGE_LOGITS].shape[-1]
        if len(classes) != labels:
            raise ValueError(
                f"The model has {labels} classes, but the taxonomy {len(classes)}. Export a model "
                "with the taxonomy that it was trained with."
            )
        self._fusion = fusion_model(model)
        weight = fusion_weight if self._fusion is None else 0.0  # a fusion of its own needs none
        if weight is None or not 0 <= weight <= 1:
            raise ValueError(f"A fusion weight lies in [0, 1]. Received: {fusion_weight}.")
        self._image = Side.of_image(model, image_encoder)
        self._text = Side.of_text(model, text_encoder)
        self._classes = classes
        self._fusion_weight = weight
        self._to_probabilities = tf.sigmoid if multi_label else tf.nn.softmax

    def signatures(self) -> dict[str, ConcreteFunction]:
        """The functions that can be called, by name, each with named inputs and outputs."""
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
        """Of the modalities that the signature takes, by the embedding's name."""
        sides = [side for side in (self._image, self._text) if side.input.name in inputs]
        return {side.output: side(inputs[side.input.name]) for side in sides}

    def _best_classes(self, inputs: Tensors, answers: dict[str, Answer]) -> Tensors:
        """Classes and scores from one modality's probabilities, or from those of both, fused."""
        probabilities = {
            name: self._to_probabilities(answer.logits) for name, answer in answers.items()
        }
        if len(probabilities) == 1:
            (scores,) = probabilities.values()
        else:
            image, text = (probabilities[side.output] for side in (self._image, self._text))
            has_image, has_text = (
                side.present(inputs[side.input.name])[:, tf.newaxis]
                for side in (self._image, self._text)
            )
            if self._fusion is None:
                both = self._fusion_weight * image + (1 - self._fusion_weight) * text
            else:
                known = {
                    **_embeddings(answers),
                    keys.TEXT_FEATURES: answers[keys.TEXT_EMBEDDING].features,
                }
                read = {name: known[name] for name in self._fusion.input}
                both = self._to_probabilities(self._fusion(read, training=False))
            # The one that is there, where the other is missing.
            scores = tf.where(has_text, tf.where(has_image, both, text), image)
        # Equal scores come in the order of their labels.
        best, labels = tf.math.top_k(scores, min(MAX_CLASSES, len(self._classes)))
        return {CLASSES: tf.gather(tf.constant(self._classes), labels), SCORES: best}


def _embeddings(answers: dict[str, Answer]) -> Tensors:
    return {name: answer.embedding for name, answer in answers.items()}


def _trace(function: Callable[[Tensors], Tensors], *sides: Side) -> ConcreteFunction:
    """`function` as a graph with the inputs of `sides`, equally many rows, none missing in all."""
    specs = [side.input for side in sides]
    names = [spec.name for spec in specs]

    def checked(**inputs: tf.Tensor) -> Tensors:
        sizes = [tf.shape(value)[0] for value in inputs.values()]
        # A batch of one would be broadcast over the other input without a word.
        check = tf.debugging.assert_equal(
            sizes[0], sizes[-1], f"{' and '.join(names)} must have equally many rows."
        )
        with tf.control_dependencies([check]):
            present = [side.present(tf.identity(inputs[side.input.name])) for side in sides]
        missing = tf.where(~tf.reduce_any(tf.stack(present), axis=0))[:, 0]
        check = tf.debugging.Assert(
            tf.equal(tf.size(missing), 0),
            [f"Every row needs its {' or its '.join(names)}. Rows without, from 0:", missing],
        )
        with tf.control_dependencies([check]):
            return function({name: tf.identity(value) for name, value in inputs.items()})

    return tf.function(checked).get_concrete_function(**{spec.name: spec for spec in specs})
