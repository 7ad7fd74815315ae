"""Image features from a dense layer of a network's top, such as VGG16's fc1."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_image_files import KINDS

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.registry import make_image_encoder

IMAGES = [KINDS["png rgba"], KINDS["jpeg grey"]]


def small_vgg16(include_top, weights, input_shape, pooling=None):
    """VGG16 by its layers' names, with few units."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=16, name="block1_conv1")(inputs)
    if not include_top:
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="vgg16")
    x = keras.layers.Flatten(name="flatten")(x)
    for name, units in (("fc1", 6), ("fc2", 5)):
        x = keras.layers.Dense(units, activation="relu", name=name)(x)
    x = keras.layers.Dense(3, activation="softmax", name="predictions")(x)
    model = keras.Model(inputs, x, name="vgg16")
    if weights is not None:
        model.load_weights(weights)
    return model


@pytest.fixture
def vgg(monkeypatch):
    small_vgg16.__module__ = keras.applications.VGG16.__module__  # of its preprocessing
    monkeypatch.setattr(keras.applications, "VGG16", small_vgg16)


def test_the_output_of_a_layer(vgg, tmp_path):
    """By hand: Caffe's preprocessing, BGR less the mean, and the network up to the layer."""
    model = small_vgg16(True, None, (224, 224, 3))
    weights = tmp_path / "vgg.weights.h5"
    model.save_weights(weights)
    pixels = image_files.decode(tf.constant(IMAGES), (224, 224)).numpy()
    prepared = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    for layer, size in (("fc1", 6), ("fc2", 5)):
        encoder = make_image_encoder(f"keras_applications:VGG16@{weights}#{layer}")
        part = keras.Model(model.input, model.get_layer(layer).output)
        found = encoder(tf.constant(IMAGES)).numpy()
        np.testing.assert_allclose(found, part(prepared), rtol=1e-4, atol=1e-4)
        assert encoder.feature_spec.shape == (size,) and (found >= 0).all()
    names = {make_image_encoder(f"keras_applications:VGG16@random{layer}").fingerprint for layer in ("", "#fc1", "#fc2")}  # fmt: skip
    assert len(names) == 3


@pytest.mark.parametrize("layer", ["fc3", "flatten", "predictions"])
def test_other_layers_are_refused(vgg, layer):
    with pytest.raises(UserError, match=rf"dense layer of .*fc1, fc2\. Received: '{layer}'"):
        make_image_encoder(f"keras_applications:VGG16@random#{layer}")


def test_a_layer_of_the_top_is_no_backbone(vgg):
    with pytest.raises(UserError, match=r"no backbone.*without #fc1"):
        make_image_encoder("keras_applications:VGG16@random#fc1").network(64)


@pytest.mark.slow
def test_the_real_vgg16_has_4096_features():
    """138 million random weights, 550 MB."""
    encoder = make_image_encoder("keras_applications:VGG16@random#fc1")
    assert encoder.feature_spec.shape == (4096,)
    assert encoder(tf.constant(IMAGES)).shape == (2, 4096)
