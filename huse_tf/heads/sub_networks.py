"""Any number of sub-networks, one a modality, under one fusion head."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from huse_tf.heads.fusion import fuse
from huse_tf.heads.vector_norm import vector_batch_norm


def fused_model(
    sub_networks: Mapping[str, keras.Model], num_classes: int, fusion: str = "mnl", p: float = 1.0
) -> keras.Model:
    """A model of M >= 1 modalities, for `Trainer` and `methods.fused_objective`.

    Args:
        sub_networks: modality -> model of one input [batch, ...] and one output, features
            [batch, dim_m], which are normalised vector-wise here.
        num_classes: K.
        fusion: name of a head (`fusion.fuse`). For "softmax" each modality gets a classifier of its
            own, whose logits are normalised vector-wise too.
        p: of the norm of theta, for "mnl".

    Returns:
        A model from {modality: inputs} to the head's outputs; modalities in the order given.
    """
    inputs = {
        name: keras.Input(network.input_shape[1:], dtype=network.input.dtype, name=name)
        for name, network in sub_networks.items()
    }
    # Layers by number, for a modality may have any name.
    features = [
        vector_batch_norm(network(inputs[name]), f"modality_{place}")
        for place, (name, network) in enumerate(sub_networks.items())
    ]
    logits = []
    if fusion == "softmax":
        for place, each in enumerate(features):
            classes = keras.layers.Dense(num_classes, name=f"modality_{place}_classifier")(each)
            logits.append(vector_batch_norm(classes, f"modality_{place}_logits"))
    outputs = fuse(fusion, features, logits, num_classes, p)
    return keras.Model(inputs, outputs, name="sub_networks")
