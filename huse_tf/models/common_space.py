"""Two sub-networks under one shared layer and one linear classifier (DSCMR, figure 2)."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from huse_tf import keys
from huse_tf.models.two_tower import feature_inputs
from huse_tf.spec import DataSpec

SHARED_LAYER = "shared_projection"
# The regressed labels are 0 and 1. Rescaled, a sigmoid says yes above the middle, 0.5.
MULTI_LABEL_SCALE = {"scale": 10.0, "offset": -5.0}
# Not `CLASSIFIER`: it takes representations, and not the embeddings that are exported.
REPRESENTATION_CLASSIFIER = "representation_classifier"


def common_space_model(
    spec: DataSpec,
    towers: Mapping[str, keras.Model],
    *,
    dim: int,
    activation: str,
    classifier_norm: float,
    classifier_trained: bool = True,
) -> keras.Model:
    """A model of two towers, a shared layer on both, and a shared classifier on its output.

    Args:
        spec: of the data.
        towers: by modality, from features to [batch, width], of equal width.
        dim: D, of the common representation.
        activation: of the shared layer.
        classifier_norm: expected length of a class vector of the classifier before training.
        classifier_trained: whether training changes the classifier.

    Returns:
        A model from {image_features [batch, image_dim], text_features [batch, text_dim]} to
        {image_projection, text_projection [batch, D], the common representation,
        image_embedding, text_embedding [batch, D], the same with unit norm,
        image_logits, text_logits [batch, K]}. Logits are the regressed labels. For items of
        several classes they are rescaled by `MULTI_LABEL_SCALE`.
    """
    inputs = feature_inputs(spec)
    shared = keras.layers.Dense(dim, activation=activation, name=SHARED_LAYER)
    classifier = keras.layers.Dense(
        spec.num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=classifier_norm / dim**0.5),
        trainable=classifier_trained,
        name=REPRESENTATION_CLASSIFIER,
    )
    normalize = keras.layers.UnitNormalization(name="normalization")
    outputs = {}
    for name in (keys.IMAGE, keys.TEXT):
        representation = shared(towers[name](inputs[keys.features(name)]))
        outputs[keys.projection(name)] = representation
        outputs[keys.embedding(name)] = normalize(representation)
        logits = classifier(representation)
        if spec.multi_label:
            logits = keras.layers.Rescaling(**MULTI_LABEL_SCALE, name=f"{name}_rescaling")(logits)
        outputs[keys.logits(name)] = logits
    return keras.Model(inputs, outputs, name="common_space")
