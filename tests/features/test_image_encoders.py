"""Image encoders of other sources: keras.applications, keras-hub, SavedModels."""

from __future__ import annotations

import builtins

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from test_encoders import check_export
from test_image_files import KINDS

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.registry import make_image_encoder, make_text_encoder

IMAGES = [KINDS["png rgba"], KINDS["jpeg grey"]]


def encode(encoder, inputs=tuple(IMAGES)):
    return encoder(tf.constant(inputs)).numpy()


def test_keras_application(tmp_path):
    """The network, called by hand on the pixels that its own preprocessing gives."""
    encoder = make_image_encoder("keras_applications:MobileNetV2@random")
    again = make_image_encoder("keras_applications:MobileNetV2@random")
    assert encoder.fingerprint == again.fingerprint
    features = encode(encoder)
    np.testing.assert_array_equal(features, encode(again))
    assert features.shape == (2, 1280) and encoder.feature_spec.shape == (1280,)
    pixels = image_files.decode(tf.constant(IMAGES), (224, 224)).numpy()
    by_hand = encoder._model.predict(pixels / 127.5 - 1, verbose=0)
    np.testing.assert_allclose(features, by_hand, rtol=1e-4, atol=1e-5)
    weights = tmp_path / "network.weights.h5"
    encoder._model.save_weights(weights)
    loaded = make_image_encoder(f"keras_applications:MobileNetV2@{weights}")
    np.testing.assert_array_equal(encode(loaded), features)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(weights)
    with pytest.raises(UserError, match=r"Cannot load the weights .* of MobileNetV2"):
        make_image_encoder(f"keras_applications:MobileNetV2@{weights}")


def test_keras_application_without_weights(monkeypatch):
    with pytest.raises(UserError, match=r"Unknown weights of VGG16.*Received: 'imagnet'"):
        make_image_encoder("keras_applications:VGG16@imagnet")

    def no_network(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", no_network)
    with pytest.raises(UserError, match=r"needs a network.*URL fetch failure"):
        make_image_encoder("keras_applications:MobileNetV2")


@pytest.mark.slow
def test_keras_hub_image(tmp_path):
    """A tiny ResNet in a local preset; features are the mean over its 2 x 2 places."""
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
    )  # fmt: skip
    backbone.save_to_preset(str(tmp_path / "resnet"))
    converter = keras_hub.layers.ResNetImageConverter(image_size=(16, 16), scale=1 / 255)
    converter.save_to_preset(str(tmp_path / "resnet"))
    encoder = make_image_encoder(f"keras_hub:{tmp_path / 'resnet'}")
    features = encode(encoder)
    pixels = image_files.decode(tf.constant(IMAGES), (16, 16)) / 255
    by_hand = backbone.predict(pixels, verbose=0).mean((1, 2))
    np.testing.assert_allclose(features, by_hand, atol=1e-5)
    assert encoder.feature_spec.shape == (128,)
    check_export(encoder, IMAGES, tmp_path)


class Model(tf.Module):
    """A SavedModel to be: `function` under the signature serving_default."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    def save(self, folder, function, spec):
        signature = tf.function(function, input_signature=[spec])
        self.signature = signature
        tf.saved_model.save(self, str(folder), signatures=signature)
        return folder


def test_saved_model_of_decoded_images(tmp_path):
    """Images as the custom of TensorFlow Hub has them: 0..1, of the size that it asks for."""
    model = Model()
    folder = model.save(
        tmp_path / "model",
        lambda images: {"features": model.scale * tf.reduce_mean(images, [1, 2])},
        tf.TensorSpec([None, 8, 10, 3], tf.float32, name="images"),
    )
    encoder = make_image_encoder(f"saved_model:{folder}")
    pixels = image_files.decode(tf.constant(IMAGES), (8, 10)).numpy()
    np.testing.assert_allclose(encode(encoder), 2 * pixels.mean((1, 2)) / 255, atol=1e-5)
    assert encoder.feature_spec.shape == (3,)
    check_export(encoder, IMAGES, tmp_path)


def length_features(texts):
    lengths = tf.cast(tf.strings.length(texts), tf.float32)
    return {"default": tf.stack([lengths, lengths], 1), "other": lengths}


def test_saved_model_of_strings(tmp_path):
    spec = tf.TensorSpec([None], tf.string, name="texts")
    folder = Model().save(tmp_path / "model", length_features, spec)
    encoder = make_text_encoder(f"tf_hub:{folder}")
    np.testing.assert_array_equal(encode(encoder, ["abc", ""]), [[3, 3], [0, 0]])
    check_export(encoder, ["abc", ""], tmp_path)
    before = encoder.fingerprint
    (folder / "assets" / "extra.txt").write_text("changed")
    assert make_text_encoder(f"tf_hub:{folder}").fingerprint != before


@pytest.mark.parametrize(
    ("function", "spec", "received"),
    [
        (lambda x: x, tf.TensorSpec([None, 4], tf.float32), "with the inputs"),
        (lambda x: {"a": tf.zeros([1, 2]), "b": tf.zeros([1, 2])}, tf.TensorSpec([None], tf.string), "with the outputs"),
        (lambda x: {"default": tf.strings.length(x)}, tf.TensorSpec([None], tf.string), "with the outputs"),
    ],
)  # fmt: skip
def test_saved_models_of_other_kinds_are_refused(tmp_path, function, spec, received):
    folder = Model().save(tmp_path / "model", function, spec)
    with pytest.raises(UserError, match=f"(?s)Expected a SavedModel with.*{received}"):
        make_text_encoder(f"saved_model:{folder}")


def test_saved_models_without_signature_or_folder(tmp_path):
    tf.saved_model.save(Model(), str(tmp_path / "model"))
    with pytest.raises(UserError, match="with the signatures: none"):
        make_text_encoder(f"saved_model:{tmp_path / 'model'}")
    with pytest.raises(UserError, match=r"holds no saved_model\.pb"):
        make_text_encoder(f"saved_model:{tmp_path / 'none'}")


def test_tf_hub_is_optional(monkeypatch):
    original = builtins.__import__

    def without_hub(name, *arguments):
        if name == "tensorflow_hub":
            raise ImportError("No module named 'tensorflow_hub'")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_hub)
    with pytest.raises(UserError, match=r"pip install 'huse_tf\[hub\]'"):
        make_text_encoder("tf_hub:https://tfhub.dev/google/universal-sentence-encoder/4")
