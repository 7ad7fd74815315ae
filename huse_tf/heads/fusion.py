"""The fusion heads by name."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf.errors import unknown_name
from huse_tf.heads.gated_unit import gated_unit
from huse_tf.heads.multiple_neural_learning import multiple_neural_learning
from huse_tf.heads.softmax_weights import softmax_weighted_sum

FUSIONS = ("mnl", "softmax", "gate")


def fuse(
    fusion: str,
    features: Sequence[keras.KerasTensor],
    logits: Sequence[keras.KerasTensor],
    num_classes: int,
    p: float,
    length: float = 1.0,
) -> dict[str, keras.KerasTensor]:
    """Fuses M modalities by the head of that name.

    Args:
        fusion: of FUSIONS. "mnl" and "gate" (with as many units as the first modality has features) read the
            features, "softmax" reads the logits.
        features: M times [batch, dim_m], on one scale.
        logits: M times [batch, K], on one scale.
        num_classes: K.
        p: of the norm of theta, for "mnl".
        length: root of the mean squared norm of the features' rows, for "mnl".

    Returns:
        {fused_logits [batch, K], modality_weights [batch, M]}, and block_norms [batch, M] for "mnl".
    """
    if fusion == "mnl":
        return multiple_neural_learning(features, num_classes, p, length)
    if fusion == "softmax":
        return softmax_weighted_sum(logits)
    if fusion == "gate":
        return gated_unit(features, num_classes, units=features[0].shape[-1])
    raise unknown_name("fusion", fusion, FUSIONS)
