"""Fingerprints of the weights of Keras models, and reproducible random weights."""

from __future__ import annotations

import keras

from huse_tf.files import sha256


def weights_sha256(model: keras.Model) -> str:
    """sha256 hex digest of all weights of a model."""
    parts: list[bytes | str] = []
    for variable in model.weights:
        value = variable.numpy()
        parts += [f"{variable.path} {value.dtype} {value.shape}", value.tobytes()]
    return sha256(*parts)


def values_sha256(model: keras.Model) -> str:
    """The same without the paths of the weights, for models whose layers are numbered as a process makes them."""
    parts: list[bytes | str] = []
    for variable in model.weights:
        value = variable.numpy()
        parts += [f"{value.dtype} {value.shape}", value.tobytes()]
    return sha256(*parts)


def seed_weights(model: keras.Model) -> None:
    """Draws all kernels and embeddings (Glorot uniform) with fixed seeds.

    The global random state is not used, because a training that follows depends on it.
    """
    for seed, variable in enumerate(model.weights):
        if len(variable.shape) > 1 and "float" in variable.dtype:  # not the numbers of positions
            variable.assign(keras.initializers.GlorotUniform(seed)(variable.shape))
