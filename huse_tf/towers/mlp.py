"""The towers of HUSE: dense layers with dropout, then L2 normalisation (paper, section on the model)."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf.methods.base import FeatureSpec
from huse_tf.towers.word_cnn import word_cnn


def mlp_tower(
    name: str,
    features: FeatureSpec,
    *,
    hidden: Sequence[int],
    embedding_dim: int,
    dropout: float,
    input_dropout: float = 0.0,
    power: float = 1.0,
    network: Sequence[keras.Layer] = (),
    last_activation: str = "linear",
) -> keras.Model:
    """Hidden ReLU layers with dropout after each, a last layer of `embedding_dim` units, unit norm.

    Only stock Keras layers, so that the saved tower loads without this package.

    Args:
        name: of the model, and prefix of its layers.
        features: what comes in; word ids pass through a trained embedding and convolution first.
        hidden: widths of the hidden layers.
        embedding_dim: D.
        dropout: share of hidden units dropped, in [0, 1).
        input_dropout: share of features dropped, in [0, 1).
        network: layers that come first, and turn what comes in into features [batch, dim].
        power: signed power of float features, sign(x) |x|^p, in (0, 1]; 1 leaves them as they come.
            Half is the Hellinger map of pooled activations (Perronnin et al. 2010, section 3.2).
        last_activation: of the last layer, before normalisation.

    Returns:
        A model from [batch, *features.shape] to [batch, D], rows of unit norm.
    """
    inputs = keras.Input(features.shape, dtype=features.dtype, name=f"{name}_features")
    x = inputs
    if features.vocabulary_size is not None:
        x = word_cnn(x, features.vocabulary_size, prefix=name)
    for layer in network:
        x = layer(x)
    if power != 1.0:
        # The small number keeps the gradient at zero finite, for encoders that are trained along.
        x = keras.ops.sign(x) * keras.ops.power(keras.ops.absolute(x) + 1e-12, power)
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name=f"{name}_input_dropout")(x)
    for index, width in enumerate(hidden):
        x = keras.layers.Dense(width, activation="relu", name=f"{name}_hidden_{index}")(x)
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout_{index}")(x)
    x = keras.layers.Dense(embedding_dim, activation=last_activation, name=f"{name}_projection")(x)
    x = keras.layers.UnitNormalization(name=f"{name}_normalization")(x)
    return keras.Model(inputs, x, name=name)
