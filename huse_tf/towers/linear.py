"""The tower of DeViSE: one linear map, without bias (paper, section 3.2), or hidden layers before it."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf.spec import FeatureSpec
from huse_tf.towers.front import tower_front
from huse_tf.towers.mlp import hidden_layers


def linear_tower(
    name: str,
    features: FeatureSpec,
    *,
    dim: int,
    hidden: Sequence[int] = (),
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    power: float = 1.0,
    network: Sequence[keras.Layer] = (),
    normalize: bool = False,
) -> keras.Model:
    """A model from [batch, *features.shape] to the projection M v [batch, dim], not normalised.

    Args:
        name: of the model, and prefix of its layers.
        features, input_dropout, power, network, normalize: as for `tower_front`.
        dim: of the projection.
        hidden, dropout: of layers before the projection, as for `mlp_tower`.
    """
    inputs, x = tower_front(
        name,
        features,
        input_dropout=input_dropout,
        power=power,
        network=network,
        normalize=normalize,
    )
    x = hidden_layers(x, hidden, dropout, prefix=name)
    x = keras.layers.Dense(dim, use_bias=False, name=f"{name}_projection")(x)
    return keras.Model(inputs, x, name=name)
