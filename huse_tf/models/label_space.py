"""Images and texts projected into the space of label vectors, classified by the nearest (DeViSE)."""

from __future__ import annotations

import keras
import numpy as np

from huse_tf import keys
from huse_tf.models.two_tower import feature_inputs
from huse_tf.spec import DataSpec

LABEL_VECTORS = "label_vectors"
# Class logits are cosines times this: their order is that of nearness, and their softmax, which only
# the fused prediction and the served probabilities read, neither flat nor certain.
_LOGIT_SCALE = 20.0


def label_space_model(
    spec: DataSpec,
    image_tower: keras.Model,
    text_tower: keras.Model,
    label_vectors: np.ndarray,
) -> keras.Model:
    """A model whose embedding space is that of label vectors, which stay as they are.

    Args:
        spec: of the data.
        image_tower, text_tower: models of one input (features) and one output, a projection that is
            not normalised.
        label_vectors: [K, dim] float32 of unit norm.

    Returns:
        A model from {image_features, text_features} to {image_projection, text_projection,
        image_embedding, text_embedding [batch, dim], image_logits, text_logits [batch, K]}; logits
        are scaled cosines to the label vectors.
    """
    inputs = feature_inputs(spec)
    count, dim = label_vectors.shape
    # A frozen layer, so that the saved model holds the vectors as weights and loads as stock Keras.
    labels = keras.layers.Dense(count, use_bias=False, trainable=False, name=LABEL_VECTORS)
    labels.build((None, dim))
    labels.set_weights([_LOGIT_SCALE * label_vectors.T])
    outputs = {}
    for name, tower in ((keys.IMAGE, image_tower), (keys.TEXT, text_tower)):
        projection = tower(inputs[keys.features(name)])
        # Without bias, a text of no known word is projected to zero, which has no direction.
        embedding = keras.layers.UnitNormalization(name=f"{name}_normalization")(projection + 1e-6)
        outputs[keys.projection(name)] = projection
        outputs[keys.embedding(name)] = embedding
        outputs[keys.logits(name)] = labels(embedding)
    return keras.Model(inputs, outputs, name="label_space")
