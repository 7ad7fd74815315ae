"""Two towers and class scores of their embeddings, by one shared classifier (HUSE) or by one each."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from huse_tf import keys
from huse_tf.models.prefixes import prefix_logits
from huse_tf.spec import DataSpec

IMAGE_TOWER = "image_tower"
TEXT_TOWER = "text_tower"
FEATURE_FUSION = "fusion_of_features"  # a fusion head that reads features, not embeddings
FIELD_TOWER = "text_field_{}"  # of a text column that is a modality of a fusion head
CLASSIFIER = "classifier"


def two_tower_model(
    spec: DataSpec,
    image_tower: keras.Model,
    text_tower: keras.Model,
    image_classifier: keras.Layer,
    text_classifier: keras.Layer,
    prefixes: Sequence[int] = (),
) -> keras.Model:
    """A model of two towers with a classifier on each embedding.

    Args:
        spec: of the data.
        image_tower, text_tower: from features to [batch, D], named `IMAGE_TOWER` and `TEXT_TOWER`.
        image_classifier, text_classifier: from embeddings to logits [batch, K]. One layer can be both.
        prefixes: sizes of prefixes of the embedding that get logits too.

    Returns:
        A model from {image_features [batch, image_dim], text_features [batch, text_dim]} to
        {image_embedding, text_embedding [batch, D], image_logits, text_logits [batch, K]}, and with prefixes
        {image_prefix_logits, text_prefix_logits [batch, P, K]}.
    """
    inputs = feature_inputs(spec)
    image = image_tower(inputs[keys.IMAGE_FEATURES])
    text = text_tower(inputs[keys.TEXT_FEATURES])
    outputs = {
        keys.IMAGE_EMBEDDING: image,
        keys.IMAGE_LOGITS: image_classifier(image),
        keys.TEXT_EMBEDDING: text,
        keys.TEXT_LOGITS: text_classifier(text),
    }
    if prefixes:
        outputs[keys.IMAGE_PREFIX_LOGITS] = prefix_logits(image, image_classifier, prefixes)
        outputs[keys.TEXT_PREFIX_LOGITS] = prefix_logits(text, text_classifier, prefixes)
    return keras.Model(inputs, outputs, name="two_tower")


def linear_classifier(
    num_classes: int,
    dim: int,
    *,
    norm: float,
    name: str = CLASSIFIER,
    trainable: bool = True,
    class_vectors: np.ndarray | None = None,
) -> keras.layers.Dense:
    """A dense layer with bias, from embeddings [batch, D] to class logits [batch, K].

    Scores of unit-norm embeddings are at most as large as the class vectors are long. Vectors of
    Keras's usual length leave the softmax nearly flat for a long time.

    Args:
        num_classes: K.
        dim: D.
        norm: expected length of a class vector before training.
        name: of the layer; for a classifier of one modality `classifier_name`.
        trainable: whether gradients change it.
        class_vectors: [K, D] of unit norm. If given, they are the kernel, times `norm`, and the layer
            is not trained.
    """
    initializer = keras.initializers.RandomNormal(stddev=norm / dim**0.5)
    classifier = keras.layers.Dense(
        num_classes, kernel_initializer=initializer, trainable=trainable, name=name
    )
    if class_vectors is not None:
        classifier.build((None, dim))
        classifier.kernel.assign(norm * class_vectors.T)
        classifier.trainable = False
    return classifier


def separate_classifiers(
    num_classes: int, dim: int, *, norm: float, trainable: bool = True
) -> tuple[keras.layers.Dense, keras.layers.Dense]:
    """An image classifier and a text classifier; arguments as for `linear_classifier`."""
    image, text = (
        linear_classifier(
            num_classes, dim, norm=norm, trainable=trainable, name=classifier_name(modality)
        )
        for modality in (keys.IMAGE, keys.TEXT)
    )
    return image, text


def classifier_name(modality: str) -> str:
    """The layer's name where each modality has a classifier of its own."""
    return f"{modality}_{CLASSIFIER}"


def feature_inputs(spec: DataSpec) -> dict[str, keras.KerasTensor]:
    """The inputs of every model: image and text features by key."""
    features = {keys.IMAGE_FEATURES: spec.image, keys.TEXT_FEATURES: spec.text}
    return {
        key: keras.Input(each.shape, dtype=each.dtype, name=key) for key, each in features.items()
    }


def modality_model(model: keras.Model, modality: str) -> keras.Model:
    """The tower and the classifier of one modality.

    Args:
        model: in whose graph neither modality's outputs depend on the other's features.
        modality: `keys.IMAGE` or `keys.TEXT`.

    Returns:
        A model from features to (embedding, logits), of the same layers.
    """
    outputs = (model.output[keys.embedding(modality)], model.output[keys.logits(modality)])
    return keras.Model(model.input[keys.features(modality)], outputs, name=modality)


def embedding_model(model: keras.Model, modality: str) -> keras.Model:
    """The tower of one modality: from features to the embedding. Arguments as for `modality_model`."""
    features = model.input[keys.features(modality)]
    return keras.Model(features, model.output[keys.embedding(modality)], name=f"{modality}_tower")


def fusion_model(model: keras.Model) -> keras.Model | None:
    """The fusion head of a model as a model of its own, or None where there is no head.

    Returns:
        A model from {image_embedding, text_embedding} to fused logits [batch, K], of the same layers;
        from {image_embedding, text_features} where each text column is a modality; from
        {image_features, text_features} where the head reads features.
    """
    if keys.FUSED_LOGITS not in model.output:
        return None
    tensors = {key: model.output[key] for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)}
    layers = {layer.name for layer in model.layers}
    if FEATURE_FUSION in layers:
        tensors = {key: model.input[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}
    elif FIELD_TOWER.format(0) in layers:
        del tensors[keys.TEXT_EMBEDDING]
        tensors[keys.TEXT_FEATURES] = model.input[keys.TEXT_FEATURES]
    head = keras.Model([*tensors.values()], model.output[keys.FUSED_LOGITS])
    # Fresh inputs: Keras requires names equal to the dict keys.
    inputs = {key: keras.Input(each.shape[1:], name=key) for key, each in tensors.items()}
    return keras.Model(inputs, head([*inputs.values()]), name="fusion")
