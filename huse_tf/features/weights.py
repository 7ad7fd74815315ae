"""Weights of Keras models: their fingerprint, and reproducible random ones."""

from __future__ import annotations

import keras

from huse_tf.files import sha256


def weights_sha256(model: keras.Model) -> str:
    """Hex digest of all weights, for models whose weights are in no single file."""
    parts: list[bytes | str] = []
    for variable in model.weights:
        value = variable.numpy()
        parts += [f"{variable.path} {value.dtype} {value.shape}", value.tobytes()]
    return sha256(*parts)


def seed_weights(model: keras.Model) -> None:
    """Draws all kernels and embeddings anew (Glorot uniform), the same in every process.

    The global random state stays as it is: it belongs to the training that may follow.
    """
    for seed, variable in enumerate(model.weights):
        if len(variable.shape) > 1:
            variable.assign(keras.initializers.GlorotUniform(seed)(variable.shape))
