"""One linear classifier a modality, whose class probabilities are the embedding."""

from __future__ import annotations

import keras

from huse_tf import keys
from huse_tf.models.two_tower import CLASSIFIER, IMAGE_TOWER, TEXT_TOWER, feature_inputs
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.towers.front import tower_front


def posterior_model(spec: DataSpec, *, input_dropout: float, image_power: float) -> keras.Model:
    """Features at one scale, a dense layer, softmax (or sigmoids, for several classes), unit norm.

    Args:
        spec: of the data.
        input_dropout, image_power: as for `tower_front`.

    Returns:
        A model with the inputs and outputs of `two_tower_model`, D = K.
    """
    inputs = feature_inputs(spec)
    towers = {
        keys.IMAGE: _linear(IMAGE_TOWER, spec.image, spec.num_classes, input_dropout, image_power),
        keys.TEXT: _linear(TEXT_TOWER, spec.text, spec.num_classes, input_dropout, 1.0),
    }
    outputs = {}
    for name, tower in towers.items():
        logits = tower(inputs[keys.features(name)])
        probabilities = keras.layers.Activation(
            "sigmoid" if spec.multi_label else "softmax", name=f"{name}_posterior"
        )(logits)
        normalize = keras.layers.UnitNormalization(name=f"{name}_normalization")
        outputs[keys.embedding(name)] = normalize(probabilities)
        outputs[keys.logits(name)] = logits
    return keras.Model(inputs, outputs, name="posteriors")


def _linear(
    name: str, features: FeatureSpec, classes: int, input_dropout: float, power: float
) -> keras.Model:
    """From features to class logits [batch, K]."""
    inputs, x = tower_front(name, features, input_dropout=input_dropout, power=power)
    # Encoders differ in how long their vectors are, and so would the time that classes take to learn.
    x = keras.layers.LayerNormalization(center=False, scale=False, name=f"{name}_scale")(x)
    x = keras.layers.Dense(classes, name=f"{name}_{CLASSIFIER}")(x)
    return keras.Model(inputs, x, name=name)
