"""Two towers under one shared classifier (HUSE, figure 2), or under one each."""

from __future__ import annotations

import keras
import numpy as np

from huse_tf import keys
from huse_tf.spec import DataSpec

IMAGE_TOWER = "image_tower"
TEXT_TOWER = "text_tower"
FIELD_TOWER = "text_field_{}"  # of a text column that is a modality of a fusion head
CLASSIFIER = "classifier"


def two_tower(
    spec: DataSpec,
    image_tower: keras.Model,
    text_tower: keras.Model,
    *,
    classifier_norm: float,
    shared_classifier: bool = True,
    classifier_trained: bool = True,
    class_vectors: np.ndarray | None = None,
) -> keras.Model:
    """A model of two towers and the layer `classifier`, or `image_classifier` and `text_classifier`.

    The shared classifier is one dense layer with bias, applied to both embeddings: the same kernel
    scores the classes of images and of texts (eq. 6).

    Args:
        spec: of the data.
        image_tower, text_tower: models of one input (features) and one output (embedding), named
            `IMAGE_TOWER` and `TEXT_TOWER`.
        classifier_norm: expected length of a class vector of a classifier before training.
        shared_classifier: whether both modalities have one classifier.
        classifier_trained: whether training moves the classifiers, or they are set otherwise.
        class_vectors: [K, D] of unit norm, what the classifiers score by. They are as long as
            `classifier_norm` and stay as they are. None: they are learned.

    Returns:
        A model from {image_features [batch, image_dim], text_features [batch, text_dim]} to
        {image_embedding, text_embedding [batch, D], image_logits, text_logits [batch, K]}.
    """
    inputs = feature_inputs(spec)
    embeddings = {
        keys.IMAGE: image_tower(inputs[keys.IMAGE_FEATURES]),
        keys.TEXT: text_tower(inputs[keys.TEXT_FEATURES]),
    }
    # Scores of unit-norm embeddings are at most as large as the class vectors are long, and vectors
    # of Keras's usual length leave the softmax nearly flat for a long time.
    stddev = classifier_norm / image_tower.output_shape[-1] ** 0.5
    names = [CLASSIFIER] if shared_classifier else [f"{name}_{CLASSIFIER}" for name in embeddings]
    classifiers = [
        keras.layers.Dense(
            spec.num_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
            trainable=classifier_trained,
            name=name,
        )
        for name in names
    ]
    outputs = {}
    for place, (name, embedding) in enumerate(embeddings.items()):
        outputs[keys.embedding(name)] = embedding
        outputs[keys.logits(name)] = classifiers[place % len(classifiers)](embedding)
    model = keras.Model(inputs, outputs, name="two_tower")
    if class_vectors is not None:
        for classifier in classifiers:
            classifier.kernel.assign(classifier_norm * class_vectors.T)
            classifier.trainable = False
    return model


def feature_inputs(spec: DataSpec) -> dict[str, keras.KerasTensor]:
    """The inputs of every model: image and text features by key."""
    features = {keys.IMAGE_FEATURES: spec.image, keys.TEXT_FEATURES: spec.text}
    return {
        key: keras.Input(each.shape, dtype=each.dtype, name=key) for key, each in features.items()
    }


def modality_model(model: keras.Model, modality: str) -> keras.Model:
    """The part of a model that one modality passes through.

    Args:
        model: in whose graph neither modality's outputs depend on the other's features.
        modality: `keys.IMAGE` or `keys.TEXT`.

    Returns:
        A model from features to (embedding, logits), of the same layers.
    """
    outputs = (model.output[keys.embedding(modality)], model.output[keys.logits(modality)])
    return keras.Model(model.input[keys.features(modality)], outputs, name=modality)


def embedding_model(model: keras.Model, modality: str) -> keras.Model:
    """Likewise from features to the embedding alone."""
    features = model.input[keys.features(modality)]
    return keras.Model(features, model.output[keys.embedding(modality)], name=f"{modality}_tower")


def fusion_model(model: keras.Model) -> keras.Model | None:
    """The part of a model that fuses both modalities, or None where it has none.

    Returns:
        A model from {image_embedding, text_embedding} to fused logits [batch, K], of the same layers;
        from {image_embedding, text_features} where each text column is a modality.
    """
    if keys.FUSED_LOGITS not in model.output:
        return None
    tensors = {key: model.output[key] for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)}
    if FIELD_TOWER.format(0) in {layer.name for layer in model.layers}:
        del tensors[keys.TEXT_EMBEDDING]
        tensors[keys.TEXT_FEATURES] = model.input[keys.TEXT_FEATURES]
    head = keras.Model([*tensors.values()], model.output[keys.FUSED_LOGITS])
    # Inputs of its own, for those of a dict must have its names.
    inputs = {key: keras.Input(each.shape[1:], name=key) for key, each in tensors.items()}
    return keras.Model(inputs, head([*inputs.values()]), name="fusion")
