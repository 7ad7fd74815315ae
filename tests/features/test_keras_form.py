"""An encoder as a Keras model gives what the encoder gives, also from its file."""

import io
import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
import tiny_pairs
from test_bert import VOCABULARY, save
from test_text_backbones import roberta

from huse_tf.features.registry import make_image_encoder, make_text_encoder

pytestmark = [
    # keras-hub leaves the file of a SentencePiece vocabulary open.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TEXTS = ["Red ARMCHAIR", "oak. sofa! " * 30, "teak red sofa 224", ""]


def png(pixels):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for size in ((20, 32), (300, 250))]


def resnet(folder):
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
    )  # fmt: skip
    backbone.save_to_preset(str(folder))
    scale, offset = (0.01, 0.02, 0.03), (-1.0, -0.5, 0.25)
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(16, 20), scale=scale, offset=offset
    )
    converter.save_to_preset(str(folder))


IMAGE_ENCODERS = {
    "efficientnet_lite0": None,
    "keras_applications:MobileNetV2@random": None,
    "keras_applications:ResNet50@random": None,
    "pixels:40": None,
    "resnet": resnet,
    "clip": tiny_pairs.clip,
    "siglip": tiny_pairs.siglip,
}
TEXT_ENCODERS = {
    "minilm": None,
    "bert_last4:minilm": None,
    "tokens:minilm:16": None,
    "bert": save,
    "roberta": roberta,
    "clip": tiny_pairs.clip,
    "siglip": tiny_pairs.siglip,
}


def made(make, name, write, folder):
    if write is not None:
        write(folder)
        name = f"keras_hub:{folder}"
    return make(name)


def same_from_its_file(form, prepared, folder):
    """The answers of the model, after it was written and read."""
    form.model.save(folder / "form.keras")
    loaded = keras.models.load_model(folder / "form.keras")
    return loaded.predict(prepared, verbose=0)


def check_text_encoder(name, write, folder):
    encoder = made(make_text_encoder, name, write, folder)
    form = encoder.keras_form()
    expected = encoder(tf.constant(TEXTS)).numpy()
    ids = form.prepare(tf.constant(TEXTS)).numpy()
    assert ids.dtype == np.int32 and ids.shape[1] <= form.tokenizer.tokens
    np.testing.assert_allclose(form.model(ids, training=False), expected, atol=1e-5)
    np.testing.assert_allclose(same_from_its_file(form, ids, folder), expected, atol=1e-5)
    form.tokenizer.save(folder / "tokenizer")
    settings = json.loads((folder / "tokenizer" / "settings.json").read_text())
    assert settings["tokens"] == form.tokenizer.tokens
    return form


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_image_encoder(name, tmp_path):
    encoder = made(make_image_encoder, name, IMAGE_ENCODERS[name], tmp_path)
    form, pixels = encoder.keras_form(), images()
    files = tf.constant([png(each) for each in pixels])
    expected = encoder(files).numpy()
    prepared = form.prepare(files).numpy()
    scale = max(1.0, np.abs(expected).max())  # ResNet50 with random weights gives large numbers
    np.testing.assert_allclose(form.model(prepared, training=False), expected, atol=1e-5 * scale)
    found = same_from_its_file(form, prepared, tmp_path)
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)
    size = form.model.input.shape[1:3]
    for each, image in zip(pixels, prepared, strict=True):
        resized = keras.ops.image.resize(each.astype(np.float32)[None], size, **form.resize)
        np.testing.assert_allclose(resized[0], image, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXT_ENCODERS)
def test_text_encoder(name, tmp_path):
    check_text_encoder(name, TEXT_ENCODERS[name], tmp_path)


def test_a_bert_of_a_preset(tmp_path):
    form = check_text_encoder("bert", save, tmp_path)
    pieces = (tmp_path / "tokenizer" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert pieces == list(VOCABULARY)
    ids = form.prepare(tf.constant(TEXTS[:1])).numpy()
    np.testing.assert_allclose(  # padding changes nothing
        form.model(np.pad(ids, ((0, 0), (0, 3)))), form.model(ids), atol=1e-5
    )


@pytest.mark.parametrize("spec", ["tfidf", "word_cnn", "tfidf+tfidf", "fields:2:tfidf"])
def test_encoders_of_strings_have_no_such_form(spec):
    assert make_text_encoder(spec).keras_form() is None
