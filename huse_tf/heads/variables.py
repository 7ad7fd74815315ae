"""Trainable numbers in a functional graph, of stock Keras layers: the model loads without this package."""

from __future__ import annotations

import keras


def trainable_row(
    size: int,
    like: keras.KerasTensor,
    name: str,
    initializer: str | keras.initializers.Initializer = "zeros",
) -> keras.KerasTensor:
    """[1, size] float32 that training may change: the kernel of a dense layer that is fed a one.

    Args:
        size: how many numbers.
        like: any float tensor of the graph, to hang the row on; its values do not matter.
        name: of the layer.
        initializer: of the numbers; sees the shape [1, size].
    """
    one = keras.ops.reshape(keras.ops.sum(keras.ops.zeros_like(like)) + 1.0, (1, 1))
    layer = keras.layers.Dense(size, use_bias=False, kernel_initializer=initializer, name=name)
    return layer(one)


def shares(scores: keras.KerasTensor, axis: int) -> keras.KerasTensor:
    """The softmax along an axis, of one modality too: Keras warns of a softmax over one number."""
    return keras.ops.exp(scores - keras.ops.logsumexp(scores, axis=axis, keepdims=True))


def is_there(features: keras.KerasTensor) -> keras.KerasTensor:
    """[batch, 1] float32: 1 for rows of [batch, dim] that are not all zero, 0 for missing ones."""
    present = keras.ops.any(keras.ops.not_equal(features, 0), axis=1, keepdims=True)
    return keras.ops.cast(present, "float32")


def on_every_row(row: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
    """[batch, size]: the row [1, size], repeated for each item of `like` [batch, dim]."""
    # Not as a sum: Keras takes a sum of [1, n] and [n, 1] for a bias that is added to a row.
    return row * keras.ops.ones_like(like[:, :1])
