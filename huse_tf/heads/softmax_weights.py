"""A weighted sum of the sub-networks' outputs (Mehta, "Multimodal Deep Learning", 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf import keys
from huse_tf.heads.variables import on_every_row, shares, trainable_row


def softmax_weighted_sum(logits: Sequence[keras.KerasTensor]) -> dict[str, keras.KerasTensor]:
    """y = s sum_m theta_m g_m + b with theta = softmax(a); a, b and the common scale s > 0 are learned.

    The formulas of the article are images that no longer load; a softmax is the plain way to
    shares that are positive and sum to 1. The sub-networks' outputs must be on one scale: doubling
    g_m and halving theta_m changes nothing. The scale s lets y be surer than its parts.

    Args:
        logits: g_m, M times [batch, K], of one classifier or normalised (`vector_norm`).

    Returns:
        {fused_logits [batch, K], modality_weights [batch, M]}.
    """
    first = logits[0]
    theta = shares(trainable_row(len(logits), first, "fusion_theta"), axis=1)
    scale = keras.ops.exp(trainable_row(1, first, "fusion_scale"))
    bias = trainable_row(first.shape[-1], first, "fusion_bias")
    total = sum(theta[:, place, None] * each for place, each in enumerate(logits))
    return {
        keys.FUSED_LOGITS: scale * total + bias,
        keys.MODALITY_WEIGHTS: on_every_row(theta, first),
    }
