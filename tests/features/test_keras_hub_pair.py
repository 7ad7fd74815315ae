"""CLIP and SigLIP from local presets with random weights: both halves, prepared as the preset says."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from test_encoders import check_export
from tiny_pairs import SIDE, clip, siglip

from huse_tf.errors import UserError
from huse_tf.features.registry import make_image_encoder, make_text_encoder

pytestmark = [
    pytest.mark.slow,
    # keras-hub leaves the file of a SentencePiece vocabulary open.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TEXTS = ["red sofa", "OAK sofa 224 red", "", "sofa " * 40]
# Not square, so that a crop differs from a squeeze.
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8)


def png(pixels):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module", params=[clip, siglip], ids=["clip", "siglip"])
def pair(request, tmp_path_factory):
    """(backbone, preprocessor, name of the preset, image encoder, text encoder)."""
    folder = tmp_path_factory.mktemp("pair")
    backbone, preprocessor = request.param(folder)
    name = f"keras_hub:{folder}"
    return backbone, preprocessor, name, make_image_encoder(name), make_text_encoder(name)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_images_are_prepared_by_the_preset(pair):
    backbone, preprocessor, _, images, _ = pair
    prepared = preprocessor.image_converter(PIXELS[None].astype(np.float32))
    expected = unit(np.asarray(backbone.get_vision_embeddings(prepared)))
    found = images(tf.constant([png(PIXELS)])).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape[1:] == images.feature_spec.shape


def test_grey_and_transparent_images(pair):
    images = pair[3]
    grey = np.broadcast_to(PIXELS[:, :, :1], PIXELS.shape).copy()
    clear = np.concatenate([PIXELS, np.zeros((20, 32, 1), np.uint8)], axis=2)
    found = images(tf.constant([png(PIXELS[:, :, 0]), png(grey), png(clear), png(grey * 0 + 255)]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[2], found[3], atol=1e-6)


def test_texts_are_prepared_by_the_preset(pair):
    """keras-hub's own path outside of graphs, where CLIP's digits are words, as OpenAI's."""
    backbone, preprocessor, _, _, texts = pair
    packed = preprocessor({"prompts": TEXTS, "images": np.zeros((4, SIDE, SIDE, 3), np.float32)})
    ids = np.asarray(packed["token_ids"])
    np.testing.assert_array_equal(texts.text.ids(tf.constant(TEXTS)), ids)
    expected = unit(np.asarray(backbone.get_text_embeddings(ids)))
    np.testing.assert_allclose(texts(tf.constant(TEXTS)), expected, atol=1e-5)
    counts, limit = texts.token_counts(TEXTS)
    assert limit == 12 and counts[3] > 40 and counts[2] <= 2 < counts[0]


def test_both_halves_share_a_space_and_the_weights_are_the_preset_s(pair):
    _, _, name, images, texts = pair
    assert images.feature_spec == texts.feature_spec
    similar = images(tf.constant([png(PIXELS)])) @ tf.transpose(texts(tf.constant(TEXTS)))
    assert np.abs(similar).max() <= 1 + 1e-5
    assert make_image_encoder(name).fingerprint == images.fingerprint
    other = make_image_encoder(f"{name}@random")
    assert other.fingerprint != images.fingerprint
    assert not images.trainable_variables and not texts.trainable_variables


def test_an_image_converter_of_another_size_is_refused(pair, tmp_path):
    backbone, preprocessor, *_ = pair
    backbone.save_to_preset(str(tmp_path))
    preprocessor.image_converter.image_size = (9, 9)
    preprocessor.save_to_preset(str(tmp_path))
    preprocessor.image_converter.image_size = (SIDE, SIDE)
    with pytest.raises(UserError, match="makes images of size"):
        make_image_encoder(f"keras_hub:{tmp_path}")


def test_they_are_exported(pair, tmp_path):
    *_, images, texts = pair
    check_export(images, [png(PIXELS), png(PIXELS[:9, :9])], tmp_path / "images")
    check_export(texts, TEXTS, tmp_path / "texts")
