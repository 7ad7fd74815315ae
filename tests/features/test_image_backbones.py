"""The networks that are trained on images: pretrained, trainable, and changed images before them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.efficientnet_lite0 import EfficientNetLite0
from huse_tf.features.image_backbones import input_layers
from huse_tf.spec import FeatureSpec
from huse_tf.towers.mlp import mlp_tower

PIXELS = FeatureSpec((64, 64, 3))
VECTORS = FeatureSpec((8,))


def images(rng, count=3):
    return tf.constant(rng.uniform(0, 255, (count, 64, 64, 3)).astype(np.float32))


def test_the_network_starts_as_the_frozen_encoder_and_is_trainable(rng):
    (network,) = input_layers("efficientnet_lite0", "", PIXELS)
    frozen = EfficientNetLite0()
    large = tf.image.resize(images(rng), (224, 224))
    (at_full_size,) = input_layers("efficientnet_lite0", "", FeatureSpec((224, 224, 3)))
    np.testing.assert_allclose(at_full_size(large), frozen.model(large), atol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(images(rng), training=True) ** 2)
    gradients = tape.gradient(loss, network.trainable_variables)
    assert len(gradients) == len(network.weights) > 50
    assert all(np.isfinite(g).all() for g in gradients)
    assert np.abs(gradients[0]).max() > 0
    assert not frozen.model.trainable_variables


def test_images_change_while_training_only(rng):
    keras.utils.set_random_seed(1)
    layers = input_layers("efficientnet_lite0", "flip+color", PIXELS)
    tower = mlp_tower(
        "image_tower", PIXELS, hidden=(), embedding_dim=4, dropout=0.0, network=layers
    )
    x = images(rng)
    np.testing.assert_array_equal(tower(x, training=False), tower(x, training=False))
    changed = [tower(x, training=True).numpy() for _ in range(4)]
    assert len({array.tobytes() for array in changed}) > 1


def test_the_seed_of_the_run_decides_on_changes(rng):
    x = images(rng)

    def changed(seed):
        keras.utils.set_random_seed(seed)
        layer, _ = input_layers("efficientnet_lite0", "flip+crop", PIXELS)
        return layer(x, training=True).numpy()

    np.testing.assert_array_equal(changed(1), changed(1))
    assert (changed(1) != changed(2)).any()


def test_vectors_need_no_network():
    assert input_layers("", "", VECTORS) == []


@pytest.mark.parametrize(
    ("backbone", "changes", "features", "message"),
    [
        ("", "", PIXELS, "--image_backbone"),
        ("efficientnet_lite0", "", VECTORS, "--image_encoder=pixels"),
        ("", "flip", VECTORS, "--augmentation"),
        ("efficientnet_lite", "", PIXELS, "image backbone.*'efficientnet_lite0'"),
        ("efficientnet_lite0", "flop", PIXELS, "augmentation.*'flip'"),
        ("efficientnet_lite0", "mixup", PIXELS, "mixes the labels of two items"),
    ],
)
def test_what_does_not_go_together_is_refused(backbone, changes, features, message):
    with pytest.raises(UserError, match=message):
        input_layers(backbone, changes, features)
