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
    normalize: bool = False,
    last_activation: str = "linear",
    unit_norm: bool = True,
    linear_path: bool = False,
) -> keras.Model:
    """Hidden ReLU layers with dropout after each, a last layer of `embedding_dim` units, unit norm.

    Only stock Keras layers, so that the saved tower loads without this package.

    Args:
        name: of the model, and prefix of its layers.
        features, input_dropout, power, network, normalize: as for `tower_front`.
        hidden: widths of the hidden layers.
        embedding_dim: D.
        dropout: share of hidden units dropped, in [0, 1).
        last_activation: of the last layer, before normalisation.
        unit_norm: whether rows are normalised, or left as the last layer gives them.
        linear_path: whether a linear map of the features is added to the last layer, past the hidden layers
            (a residual path: He et al. 2016, arXiv 1512.03385). It keeps what the features know already.

    Returns:
        A model from [batch, *features.shape] to [batch, D], rows of unit norm where asked for.
    """
    inputs, front = tower_front(
        name,
        features,
        input_dropout=input_dropout,
        power=power,
        network=network,
        normalize=normalize,
    )
    x = hidden_layers(front, hidden, dropout, prefix=name)
    x = keras.layers.Dense(embedding_dim, name=f"{name}_projection")(x)
    if linear_path:
        x += keras.layers.Dense(embedding_dim, use_bias=False, name=f"{name}_linear_path")(front)
    if last_activation != "linear":
        x = keras.layers.Activation(last_activation, name=f"{name}_last_activation")(x)
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
    normalize: bool = False,
) -> keras.Model:
    """A tower without the last layer, for models that share it: to [batch, last width of `hidden`].

    Arguments as for `mlp_tower`.
    """
    inputs, x = tower_front(
        name,
        features,
        input_dropout=input_dropout,
        power=power,
        network=network,
        normalize=normalize,
    )
    return keras.Model(inputs, hidden_layers(x, hidden, dropout, prefix=name), name=name)
