"""The tower of DeViSE: one linear map, without bias (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf.methods.base import FeatureSpec
from huse_tf.towers.front import tower_front


def linear_tower(
    name: str,
    features: FeatureSpec,
    *,
    dim: int,
    input_dropout: float = 0.0,
    power: float = 1.0,
    network: Sequence[keras.Layer] = (),
) -> keras.Model:
    """A model from [batch, *features.shape] to the projection M v [batch, dim], not normalised.

    Args:
        name: of the model, and prefix of its layers.
        features, input_dropout, power, network: as for `tower_front`.
        dim: of the projection.
    """
    inputs, x = tower_front(
        name, features, input_dropout=input_dropout, power=power, network=network
    )
    x = keras.layers.Dense(dim, use_bias=False, name=f"{name}_projection")(x)
    return keras.Model(inputs, x, name=name)
