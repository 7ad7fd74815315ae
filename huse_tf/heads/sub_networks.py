"""Any number of sub-networks, one a modality, under one fusion head; over single items or sequences."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from huse_tf.heads.fusion import fuse
from huse_tf.heads.vector_norm import vector_batch_norm


def fused_model(
    sub_networks: Mapping[str, keras.Model], num_classes: int, fusion: str = "mnl", p: float = 1.0
) -> keras.Model:
    """A model of M >= 1 modalities, for `Trainer` and `methods.fused_objective`.

    A sub-network may read a sequence of items and give features of each: the utterances of a video, say.
    Then every item of a sequence is a row of the outputs, sequence after sequence. Sequences of a batch
    have one length. Items that are zeros in every modality are none, they fill up short sequences; the
    vector-wise normalisation leaves them out.

    Args:
        sub_networks: modality -> model of one input [batch, ...] and one output, features
            [batch, dim_m], which are normalised vector-wise here. Or all of them from
            [batch, steps, dim of the input] to [batch, steps, dim_m].
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
    raw = [network(inputs[name]) for name, network in sub_networks.items()]
    there = None
    if len(raw[0].shape) == 3:
        there = keras.ops.reshape(_items_there([*inputs.values()]), (-1,))
        raw = [keras.ops.reshape(each, (-1, each.shape[-1])) for each in raw]
    # Layers by number, for a modality may have any name.
    features = [
        vector_batch_norm(each, f"modality_{place}", there=there) for place, each in enumerate(raw)
    ]
    logits = []
    if fusion == "softmax":
        for place, each in enumerate(features):
            classes = keras.layers.Dense(num_classes, name=f"modality_{place}_classifier")(each)
            logits.append(vector_batch_norm(classes, f"modality_{place}_logits", there=there))
    outputs = fuse(fusion, features, logits, num_classes, p)
    return keras.Model(inputs, outputs, name="sub_networks")


def _items_there(inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
    """[batch, steps] bool: the items of sequences [batch, steps, dim_m] that are not zeros in all M."""
    present = [keras.ops.any(keras.ops.not_equal(each, 0), axis=-1) for each in inputs]
    return keras.ops.any(keras.ops.stack(present, axis=-1), axis=-1)
