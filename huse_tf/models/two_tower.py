"""Two towers under one shared classifier (HUSE, figure 2)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras

from huse_tf import keys
from huse_tf.methods.base import DataSpec
from huse_tf.towers.mlp import mlp_tower

IMAGE_TOWER = "image_tower"
TEXT_TOWER = "text_tower"
CLASSIFIER = "classifier"


def two_tower(
    spec: DataSpec,
    *,
    embedding_dim: int,
    image_layers: Sequence[int],
    text_layers: Sequence[int],
    dropout: float,
    input_dropout: float = 0.0,
    image_power: float = 1.0,
    image_network: Sequence[keras.Layer] = (),
    classifier_norm: float,
    last_activation: str = "linear",
) -> keras.Model:
    """A model with the sub-models `image_tower` and `text_tower` and the layer `classifier`.

    The classifier is one dense layer with bias, applied to both embeddings: the same kernel scores
    the classes of images and of texts (eq. 6).

    Args:
        spec: of the data.
        embedding_dim: D.
        image_layers, text_layers: widths of the towers' hidden layers.
        dropout: share of hidden units dropped while training.
        input_dropout: share of features dropped while training.
        image_power: signed power of the image features, in (0, 1].
        image_network: layers that turn pictures into features, to be trained along.
        classifier_norm: expected length of a class vector of the classifier before training.
        last_activation: of the towers' last layer, before L2.

    Returns:
        A model from {image_features [batch, image_dim], text_features [batch, text_dim]} to
        {image_embedding, text_embedding [batch, D], image_logits, text_logits [batch, K]}.
    """
    tower = functools.partial(
        mlp_tower,
        embedding_dim=embedding_dim,
        dropout=dropout,
        input_dropout=input_dropout,
        last_activation=last_activation,
    )
    image_tower = tower(
        IMAGE_TOWER, spec.image, hidden=image_layers, power=image_power, network=image_network
    )
    text_tower = tower(TEXT_TOWER, spec.text, hidden=text_layers)
    # Scores of unit-norm embeddings are at most as large as the class vectors are long, and vectors
    # of Keras's usual length leave the softmax nearly flat for a long time.
    initializer = keras.initializers.RandomNormal(stddev=classifier_norm / embedding_dim**0.5)
    classifier = keras.layers.Dense(
        spec.num_classes, kernel_initializer=initializer, name=CLASSIFIER
    )

    inputs = {
        keys.IMAGE_FEATURES: keras.Input(
            spec.image.shape, dtype=spec.image.dtype, name=keys.IMAGE_FEATURES
        ),
        keys.TEXT_FEATURES: keras.Input(
            spec.text.shape, dtype=spec.text.dtype, name=keys.TEXT_FEATURES
        ),
    }
    image_embedding = image_tower(inputs[keys.IMAGE_FEATURES])
    text_embedding = text_tower(inputs[keys.TEXT_FEATURES])
    outputs = {
        keys.IMAGE_EMBEDDING: image_embedding,
        keys.TEXT_EMBEDDING: text_embedding,
        keys.IMAGE_LOGITS: classifier(image_embedding),
        keys.TEXT_LOGITS: classifier(text_embedding),
    }
    return keras.Model(inputs, outputs, name="two_tower")
