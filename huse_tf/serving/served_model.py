"""The graphs of a served model, from raw inputs to embeddings and classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from huse_tf import keys
from huse_tf.models.two_tower import fusion_model
from huse_tf.serving.class_scores import BOTH, ClassScores
from huse_tf.serving.exported import Exported
from huse_tf.serving.names import (
    CLASS_NAMES,
    CLASS_SCORES,
    NAME_SCORES,
    PRODUCT_EMBEDDING,
    STATUS,
)
from huse_tf.serving.served_modality import Answer, ServedModality

Tensors = dict[str, tf.Tensor]
ConcreteFunction: TypeAlias = tf.types.experimental.ConcreteFunction

NO_NAMES = "Every row needs at least one name in its class_names."


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
        self._image = ServedModality.of(keys.IMAGE, model, exported.image_encoder)
        self._text = ServedModality.of(keys.TEXT, model, exported.text_encoder)
        self._scores = ClassScores(exported)
        self._fusion_weight = weight
        self._image_weight = exported.product.image_weight

    def signatures(self) -> dict[str, ConcreteFunction]:
        """The signatures by name; each has named inputs and outputs."""
        return {name: self.signature(name) for name in self._signatures()}

    def signature(self, name: str) -> ConcreteFunction:
        """One of `signatures`."""
        function, *inputs = self._signatures()[name]
        return trace(function, *inputs)

    def _signatures(self) -> dict[str, tuple[Any, ...]]:
        """Name -> (function, its inputs)."""
        image, text = self._image.input, self._text.input
        images = tf.TensorSpec([None, None, *image.shape[1:]], image.dtype, image.name)
        names = tf.TensorSpec([None, None], tf.string, CLASS_NAMES)
        found: dict[str, tuple[Any, ...]] = {
            "embed_image": (self._embed, image),
            "embed_text": (self._embed, text),
            "embed_product": (self._embed_product, images, text),
            "classify_image": (self._classify, image),
            "classify_text": (self._classify, text),
            "classify": (self._classify, image, text),
            "class_scores": (self._class_scores, image, text),
            "classify_names": (self._classify_names, image, text, names),
            "serving_default": (self._embed_and_classify, image, text),
        }
        if self._text.encoder is None:
            del found["classify_names"]  # it encodes names
        return found

    def _embed(self, inputs: Tensors) -> Tensors:
        """The embeddings of the modalities that the signature takes."""
        answers = self._answers(inputs)
        return _embeddings(answers) | self._status(answers)

    def _embed_product(self, inputs: Tensors) -> Tensors:
        images, text = self._product(inputs)
        answers = {self._image.output: images, self._text.output: text}
        return {PRODUCT_EMBEDDING: self._pooled(images, text)} | self._status(answers)

    def _classify(self, inputs: Tensors) -> Tensors:
        answers = self._answers(inputs)
        return self._scores.best(*self._class_scores_of(answers)) | self._status(answers)

    def _class_scores(self, inputs: Tensors) -> Tensors:
        answers = self._answers(inputs)
        scores, _ = self._class_scores_of(answers)
        return {CLASS_SCORES: scores} | self._status(answers)

    def _classify_names(self, inputs: Tensors) -> Tensors:
        names = inputs[CLASS_NAMES]
        answers = self._answers(inputs)
        distinct, places = tf.unique(tf.reshape(names, [-1]))
        named = self._text(distinct)
        places = tf.reshape(places, tf.shape(names))
        embedding = self._pooled(*answers.values())
        similarity = tf.matmul(embedding, named.embedding, transpose_b=True)
        similarity = tf.gather(similarity, places, batch_dims=1)
        given = tf.gather(named.present, places)
        scores = tf.nn.softmax(tf.where(given, similarity, -1e9))
        status = self._status(answers)[STATUS]
        status = tf.where((status == "") & ~tf.reduce_any(given, axis=1), NO_NAMES, status)
        return {NAME_SCORES: tf.where(given, scores, 0.0), STATUS: status}

    def _embed_and_classify(self, inputs: Tensors) -> Tensors:
        answers = self._answers(inputs)
        best = self._scores.best(*self._class_scores_of(answers))
        return _embeddings(answers) | best | self._status(answers)

    def _answers(self, inputs: Tensors) -> dict[str, Answer]:
        """The answers of the signature's modalities, by the name of the embedding."""
        given = [each for each in (self._image, self._text) if each.input.name in inputs]
        return {each.output: each(inputs[each.input.name]) for each in given}

    def _product(self, inputs: Tensors) -> tuple[Answer, Answer]:
        """The answers for each product's images, pooled, and for its text."""
        values = inputs[self._image.input.name]
        shape = tf.shape(values)
        count = shape[1]
        one = self._image(tf.reshape(values, tf.concat([[-1], shape[2:]], 0)))

        def per_product(values: tf.Tensor) -> tf.Tensor:
            return tf.reshape(values, tf.concat([shape[:2], tf.shape(values)[1:]], 0))

        present, faults = per_product(one.present), per_product(one.fault)
        embedding = tf.math.l2_normalize(tf.reduce_sum(per_product(one.embedding), axis=1), axis=1)
        numbers = tf.strings.as_string(tf.range(1, count + 1))
        numbered = tf.where(faults == "", "", "Image " + numbers + ": " + faults + " ")
        fault = tf.strings.strip(tf.strings.reduce_join(numbered, axis=1))
        images = Answer(tf.reduce_any(present, axis=1), fault, one.features, embedding, one.logits)
        return images, self._text(inputs[self._text.input.name])

    def _pooled(self, image: Answer, text: Answer) -> tf.Tensor:
        """[batch, D]: the unit vector of both; that of the present one if one is missing."""
        weight = self._image_weight
        both = weight * image.embedding + (1 - weight) * text.embedding
        both = tf.math.l2_normalize(both, axis=1)
        has_image, has_text = (each.present[:, tf.newaxis] for each in (image, text))
        return tf.where(has_text, tf.where(has_image, both, text.embedding), image.embedding)

    def _status(self, answers: dict[str, Answer]) -> Tensors:
        """STATUS: that every input is missing, or the first fault."""
        modalities = [each for each in (self._image, self._text) if each.output in answers]
        names = [each.input.name for each in modalities]
        status = tf.constant("")
        for answer in reversed(answers.values()):
            status = tf.where(answer.fault == "", status, answer.fault)
        present = tf.reduce_any(tf.stack([each.present for each in answers.values()]), axis=0)
        return {STATUS: tf.where(present, status, f"Every row needs its {' or its '.join(names)}.")}

    def _class_scores_of(self, answers: dict[str, Answer]) -> tuple[tf.Tensor, tf.Tensor]:
        """([batch, K] scores, thresholds [batch] or []), from one modality or from both, fused."""
        scores = self._scores
        names = {each.output: each.name for each in (self._image, self._text)}
        alone = {
            names[key]: scores.calibrated(answer.logits, names[key])
            for key, answer in answers.items()
        }
        if len(alone) == 1:
            [(name, found)] = alone.items()
            return found, tf.constant(scores.threshold(name))
        both = scores.calibrated(self._fused(answers), BOTH)
        has_image, has_text = (answers[key].present for key in names)

        def chosen(both: tf.Tensor, image: tf.Tensor, text: tf.Tensor) -> tf.Tensor:
            wide = [-1] + [1] * (len(both.shape) - 1)
            with_image, with_text = tf.reshape(has_image, wide), tf.reshape(has_text, wide)
            return tf.where(with_text, tf.where(with_image, both, text), image)

        thresholds = (
            tf.constant([scores.threshold(name)]) for name in (BOTH, keys.IMAGE, keys.TEXT)
        )
        return chosen(both, alone[keys.IMAGE], alone[keys.TEXT]), chosen(*thresholds)

    def _fused(self, answers: dict[str, Answer]) -> tf.Tensor:
        """[batch, K] logits of both modalities together. Rows that lack one mean nothing."""
        image, text = answers[keys.IMAGE_EMBEDDING], answers[keys.TEXT_EMBEDDING]
        if self._fusion is None:
            return self._scores.mixed(image.logits, text.logits, self._fusion_weight)
        known = {
            **_embeddings(answers),
            keys.IMAGE_FEATURES: image.features,
            keys.TEXT_FEATURES: text.features,
        }
        return self._fusion({name: known[name] for name in self._fusion.input}, training=False)


def _embeddings(answers: dict[str, Answer]) -> Tensors:
    return {name: answer.embedding for name, answer in answers.items()}


def trace(function: Callable[[Tensors], Tensors], *specs: tf.TensorSpec) -> ConcreteFunction:
    """The graph of a signature.

    It refuses inputs of unequal batch sizes. Bytes of texts that are no UTF-8 become U+FFFD. In rows whose
    STATUS is not "" all other outputs are zeros.

    Args:
        function: maps inputs by name to outputs by name; STATUS is one of them.
        specs: the inputs.
    """
    names = [spec.name for spec in specs]

    def checked(**inputs: tf.Tensor) -> Tensors:
        sizes = tf.stack([tf.shape(value)[0] for value in inputs.values()])
        # Without this check a batch of one would be broadcast over the other input.
        check = tf.debugging.Assert(
            tf.reduce_all(sizes == sizes[0]),
            [f"{' and '.join(names)} must have equally many rows."],
        )
        with tf.control_dependencies([check]):
            given = {name: tf.identity(value) for name, value in inputs.items()}
        for name in (keys.TEXT, CLASS_NAMES):
            if name in given:
                given[name] = tf.strings.unicode_transcode(given[name], "UTF-8", "UTF-8")
        return answered(function(given))

    return tf.function(checked).get_concrete_function(**{spec.name: spec for spec in specs})


def answered(outputs: Tensors) -> Tensors:
    """The outputs with zeros, "" and False in rows whose STATUS is not ""."""
    good = outputs[STATUS] == ""

    def masked(value: tf.Tensor) -> tf.Tensor:
        row = tf.reshape(good, [-1] + [1] * (value.shape.rank - 1))
        return tf.where(row, value, tf.zeros((), value.dtype))

    return {name: value if name == STATUS else masked(value) for name, value in outputs.items()}
