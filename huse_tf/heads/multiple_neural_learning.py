"""Multiple neural learning: one linear layer over all modalities, whose block norms tell the shares.

Lp-norm multiple kernel learning carried over to neural sub-networks (Varshneya et al. 2024, arXiv
2405.04671; the weighted sub-networks of Mehta, "Multimodal Deep Learning", 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from huse_tf import keys
from huse_tf.heads.variables import on_every_row, trainable_row

_TINY = 1e-12  # keeps the gradient of a norm finite at zero


def theta_of_norms(norms: Any, p: float) -> Any:
    """Contributions theta_m = n_m^(2/(p+1)) / (sum_k n_k^(2p/(p+1)))^(1/p), of p-norm 1.

    They minimise sum_m n_m^2 / theta_m under ||theta||_p <= 1, theta >= 0.

    Args:
        norms: [..., M] n >= 0, not all zero.
        p: >= 1.
    """
    powers = norms ** (2.0 * p / (p + 1.0))
    return (powers / keras.ops.sum(powers, axis=-1, keepdims=True)) ** (1.0 / p)


def multiple_neural_learning(
    features: Sequence[keras.KerasTensor], num_classes: int, p: float, length: float = 1.0
) -> dict[str, keras.KerasTensor]:
    """y = sum_m W_m f_m + b, with theta by the norms n_m = length ||W_m||_F of the blocks.

    To be trained with `losses.block_norms`; without that penalty theta says little. Features of twice the
    length need blocks of half the norm to say the same; counted in lengths of features, norms are
    as in InTense, whose features have length 1, and Lambda means the same at any length.

    Args:
        features: M times [batch, dim_m], on one scale (`vector_norm`, or rows of equal norm).
        num_classes: K.
        p: of the norm of theta; 1 lets modalities drop out.
        length: root of the mean squared norm of the rows of each modality's features.

    Returns:
        {fused_logits [batch, K], modality_weights, block_norms [batch, M]}.
    """
    first = features[0]
    stddev = sum(each.shape[-1] for each in features) ** -0.5
    parts, squares = [], []
    for place, each in enumerate(features):
        dim = each.shape[-1]
        block = trainable_row(
            dim * num_classes,
            first,
            f"fusion_block_{place}",
            keras.initializers.RandomNormal(stddev=stddev),
        )
        squares.append(keras.ops.sum(keras.ops.square(block), axis=1))
        parts.append(keras.ops.matmul(each, keras.ops.reshape(block, (dim, num_classes))))
    norms = length * keras.ops.sqrt(keras.ops.stack(squares, axis=1) + _TINY)
    return {
        keys.FUSED_LOGITS: sum(parts) + trainable_row(num_classes, first, "fusion_bias"),
        keys.MODALITY_WEIGHTS: on_every_row(theta_of_norms(norms, p), first),
        keys.BLOCK_NORMS: on_every_row(norms, first),
    }
