"""Vector-wise batch normalisation: features of all modalities on one scale, shape unchanged.

As in the code of InTense (Varshneya et al. 2024, arXiv 2405.04671): without it a modality's block
could be small for no other reason than that its features are large.
"""

from __future__ import annotations

import keras

# So large that no variance counts beside it: a normalisation that only takes away the mean.
_NO_DIVISION = 1e12


def vector_batch_norm(
    x: keras.KerasTensor,
    name: str,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    there: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """(x - mean) / sqrt(mean squared distance to the mean + epsilon); one divisor for all coordinates.

    Two stock layers: one takes away each coordinate's mean, and one, for which all coordinates are
    one channel, divides. In training, mean and divisor are the batch's; in inference, moving means.

    Args:
        x: [batch, dim] float32.
        name: prefix of the layers.
        momentum: share of the moving mean that a batch leaves (InTense: 0.9).
        epsilon: against division by zero; a batch of one item becomes zeros.
        there: [batch] bool, the rows that means and divisor are of; None: all.

    Returns:
        [batch, dim]; over a training batch the mean squared norm is 1.
    """
    dim = x.shape[-1]
    layer = keras.layers.BatchNormalization
    centred = layer(
        momentum=momentum, epsilon=_NO_DIVISION, center=False, scale=False, name=f"{name}_center"
    )(x, mask=there)
    centred = centred * _NO_DIVISION**0.5
    if there is not None:
        there = keras.ops.logical_and(there[:, None], keras.ops.ones_like(x, dtype="bool"))
    # The variance of the one channel is a mean over coordinates; their sum is wanted.
    scaled = layer(
        momentum=momentum, epsilon=epsilon / dim, center=False, scale=False, name=f"{name}_scale"
    )(keras.ops.expand_dims(centred, -1), mask=there)
    return keras.ops.squeeze(scaled, -1) / dim**0.5
