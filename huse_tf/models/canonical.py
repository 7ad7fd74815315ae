"""Models whose embeddings are canonical variates: linear maps that are solved for, not trained."""

from __future__ import annotations

import keras
import numpy as np

from huse_tf import keys
from huse_tf.models.two_tower import CLASSIFIER, feature_inputs
from huse_tf.spec import DataSpec

_PROJECTION = "canonical_projection"


def linear_canonical(spec: DataSpec, components: int) -> keras.Model:
    """Features, their projections, and a linear probe on the projections, shared by both modalities.

    Returns:
        A model with the inputs and outputs of `two_tower_model`, D = `components`.
    """
    inputs = feature_inputs(spec)
    classifier = keras.layers.Dense(spec.num_classes, name=CLASSIFIER)
    outputs = {}
    for name in (keys.IMAGE, keys.TEXT):
        embedding = _canonical(inputs[keys.features(name)], name, components, "orthogonal")
        outputs[keys.embedding(name)] = embedding
        outputs[keys.logits(name)] = classifier(embedding)
    return keras.Model(inputs, outputs, name="linear_canonical")


def deep_canonical(
    spec: DataSpec, image_tower: keras.Model, text_tower: keras.Model
) -> keras.Model:
    """Towers, projections of their outputs, and a linear probe on each; only the towers are trained.

    Args:
        spec: of the data.
        image_tower, text_tower: from features to [batch, D], not normalised: unit norm would bind the
            outputs of an item to each other before they are correlated.

    Returns:
        A model with the outputs of `two_tower_model`, and those of the towers as
        {image_representation, text_representation [batch, D]}.
    """
    inputs = feature_inputs(spec)
    outputs = {}
    for name, tower in ((keys.IMAGE, image_tower), (keys.TEXT, text_tower)):
        representation = tower(inputs[keys.features(name)])
        dim = representation.shape[-1]
        classifier = keras.layers.Dense(
            spec.num_classes,
            trainable=False,
            name=f"{name}_{CLASSIFIER}",
        )
        embedding = _canonical(representation, name, dim, "identity")
        outputs[keys.representation(name)] = representation
        outputs[keys.embedding(name)] = embedding
        outputs[keys.logits(name)] = classifier(embedding)
    return keras.Model(inputs, outputs, name="deep_canonical")


def set_projections(
    model: keras.Model,
    kernels: tuple[np.ndarray, np.ndarray],
    biases: tuple[np.ndarray, np.ndarray],
) -> None:
    """Sets the projections of a model.

    Args:
        model: from `linear_canonical` or `deep_canonical`.
        kernels: [dim, components] of the image, then of the text.
        biases: [components] of the image, then of the text.
    """
    for name, kernel, bias in zip((keys.IMAGE, keys.TEXT), kernels, biases, strict=True):
        layer = model.get_layer(f"{name}_{_PROJECTION}")
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)


def canonical_variates(model: keras.Model) -> keras.Model:
    """A model from the same inputs to {image, text [batch, components]}: projections before unit norm.

    Args:
        model: from `linear_canonical` or `deep_canonical`.
    """
    variates = {
        name: model.get_layer(f"{name}_{_PROJECTION}").output for name in (keys.IMAGE, keys.TEXT)
    }
    return keras.Model(model.input, variates, name="canonical_variates")


def _canonical(
    x: keras.KerasTensor, modality: str, components: int, initializer: str
) -> keras.KerasTensor:
    """[batch, components] of unit norm, by weights that are solved for, not trained."""
    x = keras.layers.Dense(
        components,
        kernel_initializer=initializer,
        trainable=False,
        name=f"{modality}_{_PROJECTION}",
    )(x)
    return keras.layers.UnitNormalization(name=f"{modality}_normalization")(x)
