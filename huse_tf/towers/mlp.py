"""The towers of HUSE: dense layers with dropout, then L2 normalisation (paper, section on the model)."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf.spec import FeatureSpec
from huse_tf.towers.front import tower_front


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
    unit_norm: bool = True,
) -> keras.Model:
    """Hidden ReLU layers with dropout after each, a last layer of `embedding_dim` units, unit norm.

    Only stock Keras layers, so that the saved tower loads without this package.

    Args:
        name: of the model, and prefix of its layers.
        features, input_dropout, power, network: as for `tower_front`.
        hidden: widths of the hidden layers.
        embedding_dim: D.
        dropout: share of hidden units dropped, in [0, 1).
        last_activation: of the last layer, before normalisation.
        unit_norm: whether rows are normalised, or left as the last layer gives them.

    Returns:
        A model from [batch, *features.shape] to [batch, D], rows of unit norm where asked for.
    """
    inputs, x = tower_front(
        name, features, input_dropout=input_dropout, power=power, network=network
    )
    x = hidden_layers(x, hidden, dropout, prefix=name)
    x = keras.layers.Dense(embedding_dim, activation=last_activation, name=f"{name}_projection")(x)
    if unit_norm:
        x = keras.layers.UnitNormalization(name=f"{name}_normalization")(x)
    return keras.Model(inputs, x, name=name)


def hidden_layers(
    x: keras.KerasTensor, widths: Sequence[int], dropout: float, *, prefix: str
) -> keras.KerasTensor:
    """ReLU layers of these widths from [batch, dim], dropout after each."""
    for index, width in enumerate(widths):
        x = keras.layers.Dense(width, activation="relu", name=f"{prefix}_hidden_{index}")(x)
        x = keras.layers.Dropout(dropout, name=f"{prefix}_dropout_{index}")(x)
    return x


def hidden_tower(
    name: str,
    features: FeatureSpec,
    *,
    hidden: Sequence[int],
    dropout: float,
    input_dropout: float = 0.0,
    power: float = 1.0,
    network: Sequence[keras.Layer] = (),
) -> keras.Model:
    """A tower without the last layer, for models that share it: to [batch, last width of `hidden`].

    Arguments as for `mlp_tower`.
    """
    inputs, x = tower_front(
        name, features, input_dropout=input_dropout, power=power, network=network
    )
    return keras.Model(inputs, hidden_layers(x, hidden, dropout, prefix=name), name=name)
