"""The gated multimodal unit (Arevalo et al. 2017, arXiv 1702.01992), for any number of modalities."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf import keys
from huse_tf.heads.variables import shares


def gated_unit(
    features: Sequence[keras.KerasTensor], num_classes: int, units: int
) -> dict[str, keras.KerasTensor]:
    """h = sum_m z_m tanh(W_m f_m), z = softmax over the modalities of W_z [f_1; ...; f_M]; y = W h + b.

    With two modalities z_1 = sigmoid(a_1 - a_2) and z_2 = 1 - z_1, which is the paper's bimodal unit
    with W_z the difference of two matrices. Products are element by element.

    Args:
        features: M times [batch, dim_m].
        num_classes: K.
        units: size of h.

    Returns:
        {fused_logits [batch, K], modality_weights [batch, M]}; an item's weights are the means of
        its gates z_m over the units, and sum to 1.
    """
    count = len(features)
    hidden = keras.ops.stack(
        [
            keras.layers.Dense(units, activation="tanh", name=f"fusion_hidden_{place}")(each)
            for place, each in enumerate(features)
        ],
        axis=1,
    )
    together = keras.ops.concatenate(features, axis=-1)
    gates = keras.layers.Dense(count * units, name="fusion_gate")(together)
    gates = shares(keras.ops.reshape(gates, (-1, count, units)), axis=1)
    fused = keras.ops.sum(gates * hidden, axis=1)
    return {
        keys.FUSED_LOGITS: keras.layers.Dense(num_classes, name="fusion_classifier")(fused),
        keys.MODALITY_WEIGHTS: keras.ops.mean(gates, axis=2),
    }
