"""What is served: raw inputs in, embeddings and classes out, all of it inside one graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.features.encoder import Encoder
from huse_tf.models.two_tower import CLASSIFIER, IMAGE_TOWER, TEXT_TOWER

MAX_CLASSES = 10  # in an answer, for each item

CLASSES = "classes"  # [batch, k] string, class paths, best first
SCORES = "scores"  # [batch, k] float32, their probabilities, falling

Tensors = dict[str, tf.Tensor]
ConcreteFunction: TypeAlias = tf.types.experimental.ConcreteFunction


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One modality, from what a client sends to its embedding.

    Attributes:
        encoder: from [batch] strings to features, or None where clients send features.
        tower: from features to embeddings.
        input: name, shape and type of what clients send.
        output: name of the embedding.
    """

    encoder: Encoder | None
    tower: keras.Model
    input: tf.TensorSpec
    output: str

    @classmethod
    def of_image(cls, model: keras.Model, encoder: Encoder | None) -> Side:
        tower = model.get_layer(IMAGE_TOWER)
        spec = _input_spec(encoder, tower, keys.IMAGE_BYTES, keys.IMAGE_FEATURES)
        return cls(encoder, tower, spec, keys.IMAGE_EMBEDDING)

    @classmethod
    def of_text(cls, model: keras.Model, encoder: Encoder | None) -> Side:
        tower = model.get_layer(TEXT_TOWER)
        spec = _input_spec(encoder, tower, keys.TEXT, keys.TEXT_FEATURES)
        return cls(encoder, tower, spec, keys.TEXT_EMBEDDING)

    @tf.function  # traced once, though several signatures call it
    def embed(self, values: tf.Tensor) -> tf.Tensor:
        """[batch, D] float32, rows of unit norm."""
        features = values if self.encoder is None else self.encoder(values)
        return self.tower(features, training=False)


def _input_spec(
    encoder: Encoder | None, tower: keras.Model, raw: str, features: str
) -> tf.TensorSpec:
    if encoder is None:
        return tf.TensorSpec(tower.input.shape, tower.input.dtype, features)
    return tf.TensorSpec([None], tf.string, raw)


class ServedModel:
    """A two-tower model behind its encoders, with class names instead of labels.

    Args:
        model: as `models.two_tower` builds them.
        image_encoder: in front of the image tower, or None where clients send image features.
        text_encoder: in front of the text tower, or None where clients send text features.
        classes: K class paths, in the order of the labels.
        fusion_weight: in [0, 1], the picture's share of the fused class probabilities.
    """

    def __init__(
        self,
        model: keras.Model,
        image_encoder: Encoder | None,
        text_encoder: Encoder | None,
        classes: list[str],
        fusion_weight: float,
    ) -> None:
        labels = model.output[keys.IMAGE_LOGITS].shape[-1]
        if len(classes) != labels:
            raise ValueError(
                f"The model has {labels} classes, but the taxonomy {len(classes)}. Export a model "
                "with the taxonomy that it was trained with."
            )
        if not 0 <= fusion_weight <= 1:
            raise ValueError(f"A fusion weight lies in [0, 1]. Received: {fusion_weight}.")
        self._image = Side.of_image(model, image_encoder)
        self._text = Side.of_text(model, text_encoder)
        self._classifier = model.get_layer(CLASSIFIER)
        self._classes = classes
        self._fusion_weight = fusion_weight

    def signatures(self) -> dict[str, ConcreteFunction]:
        """The functions that can be called, by name, each with named inputs and outputs."""
        image, text = self._image.input, self._text.input
        return {
            "embed_image": _trace(self._embed, image),
            "embed_text": _trace(self._embed, text),
            "classify_image": _trace(self._classify, image),
            "classify_text": _trace(self._classify, text),
            "classify": _trace(self._classify, image, text),
            "serving_default": _trace(self._embed_and_classify, image, text),
        }

    def _embed(self, inputs: Tensors) -> Tensors:
        """The embeddings of whichever modalities are there."""
        sides = [side for side in (self._image, self._text) if side.input.name in inputs]
        return {side.output: side.embed(inputs[side.input.name]) for side in sides}

    def _classify(self, inputs: Tensors) -> Tensors:
        return self._best_classes(self._embed(inputs))

    def _embed_and_classify(self, inputs: Tensors) -> Tensors:
        embeddings = self._embed(inputs)
        return embeddings | self._best_classes(embeddings)

    def _best_classes(self, embeddings: Tensors) -> Tensors:
        """Classes and scores from one modality's probabilities, or from those of both, fused."""
        probabilities = {
            name: tf.nn.softmax(self._classifier(embedding))
            for name, embedding in embeddings.items()
        }
        if len(probabilities) == 1:
            (scores,) = probabilities.values()
        else:
            scores = (
                self._fusion_weight * probabilities[keys.IMAGE_EMBEDDING]
                + (1 - self._fusion_weight) * probabilities[keys.TEXT_EMBEDDING]
            )
        # Equal scores come in the order of their labels.
        best, labels = tf.math.top_k(scores, min(MAX_CLASSES, len(self._classes)))
        return {CLASSES: tf.gather(tf.constant(self._classes), labels), SCORES: best}


def _trace(function: Callable[[Tensors], Tensors], *specs: tf.TensorSpec) -> ConcreteFunction:
    """`function` as a graph with the inputs `specs`, which have equally many rows."""

    def checked(**inputs: tf.Tensor) -> Tensors:
        sizes = [tf.shape(value)[0] for value in inputs.values()]
        # A batch of one would be broadcast over the other input without a word.
        check = tf.debugging.assert_equal(
            sizes[0], sizes[-1], f"{' and '.join(inputs)} must have equally many rows."
        )
        with tf.control_dependencies([check]):
            return function({name: tf.identity(value) for name, value in inputs.items()})

    return tf.function(checked).get_concrete_function(**{spec.name: spec for spec in specs})
