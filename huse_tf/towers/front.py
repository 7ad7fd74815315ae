"""The front of every tower: from inputs to the features that its first layer takes."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from huse_tf.errors import UserError
from huse_tf.spec import FeatureSpec
from huse_tf.towers.word_cnn import word_cnn


def tower_front(
    name: str,
    features: FeatureSpec,
    *,
    input_dropout: float = 0.0,
    power: float = 1.0,
    network: Sequence[keras.Layer] = (),
    normalize: bool = False,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An input, and the features [batch, dim] made of it.

    Args:
        name: prefix of the layers' names.
        features: of the input; word ids without a network pass through a trained embedding and convolution.
        input_dropout: share of features dropped, in [0, 1).
        power: signed power of float features, sign(x) |x|^p, in (0, 1]; 1 leaves them as they come.
            Half is the Hellinger map of pooled activations (Perronnin et al. 2010, section 3.2).
        network: layers that come first and turn the input into features [batch, dim].
        normalize: whether each item's features get the length sqrt(dim), so that the mean square of a
            coordinate is 1 whatever the encoder's scale. Zeros stay zeros.

    Raises:
        UserError: features of an item that are several vectors, or images without a network.
    """
    inputs = keras.Input(features.shape, dtype=features.dtype, name=f"{name}_features")
    x = inputs
    if features.vocabulary_size is not None and not network:
        x = word_cnn(x, features.vocabulary_size, prefix=name)
    for layer in network:
        x = layer(x)
    if len(x.shape) != 2:
        raise UserError(
            "A tower takes one vector an item. Expected features [items, dim]. Received: features of "
            f"shape {features.shape} an item. Encoders patches:... go with --method=fashion_bert, "
            "pixels:... with --image_backbone."
        )
    if power != 1.0:
        # The small number keeps the gradient at zero finite, for image networks that are trained.
        x = keras.ops.sign(x) * keras.ops.power(keras.ops.absolute(x) + 1e-12, power)
    if normalize:
        x = (
            keras.layers.UnitNormalization(name=f"{name}_input_normalization")(x)
            * x.shape[1] ** 0.5
        )
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name=f"{name}_input_dropout")(x)
    return inputs, x
