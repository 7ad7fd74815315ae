"""`.keras` files with the encoders inside, in tiny: what they give, and what one can do with them."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_forms import SIZE, tiny_exported
from tiny_models import TEXTS, WEIGHT, AverageColour

from huse_tf import keys
from huse_tf.features import image_files
from huse_tf.features.augmentation import augmentation
from huse_tf.features.encoder import Encoder
from huse_tf.features.pixels import Pixels
from huse_tf.models.two_tower import embedding_model
from huse_tf.serving.beside import write_formats
from huse_tf.serving.exported import Exported
from huse_tf.serving.keras_files import without_augmentation
from huse_tf.spec import FeatureSpec
from huse_tf.towers.mlp import mlp_tower


@pytest.fixture(scope="module")
def exported():
    return tiny_exported()


@pytest.fixture(scope="module")
def written(exported, tmp_path_factory):
    """(folder, entries of card.json)."""
    folder = tmp_path_factory.mktemp("version")
    return folder, write_formats(exported, ("saved_model", "keras"), folder, None)


def load(written, name):
    return keras.models.load_model(written[0] / f"{name}.keras")


def embedding(exported, modality, features):
    return embedding_model(exported.model, modality)(features, training=False).numpy()


def test_the_card_names_the_files(written):
    _, entries = written
    assert entries == {
        "formats": ["saved_model", "keras"],
        "files": {"image_model.keras": None, "text_model.keras": None, "tokenizer/": None},
        "not_written": {},
    }


def test_the_image_model_resizes_as_the_encoder(written, exported, rng):
    pixels = rng.integers(0, 256, (2, 20, 9, 3)).astype(np.uint8)
    files = tf.constant([tf.io.encode_png(each).numpy() for each in pixels])
    expected = embedding(exported, keys.IMAGE, exported.image_encoder(files))
    found = load(written, "image_model")(pixels.astype(np.float32)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_an_image_of_the_encoder_s_size_is_not_resized(written, exported, rng):
    pixels = rng.uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    expected = embedding(exported, keys.IMAGE, pixels.mean((1, 2)) / 255)
    np.testing.assert_allclose(load(written, "image_model")(pixels), expected, atol=1e-5)


def test_the_text_model_takes_the_ids_of_the_graph(written, exported):
    encoder = exported.text_encoder
    expected = embedding(exported, keys.TEXT, encoder(tf.constant(TEXTS)))
    ids = encoder.keras_form().prepare(tf.constant(TEXTS))
    model = load(written, "text_model")
    np.testing.assert_allclose(model(ids), expected, atol=1e-5)
    np.testing.assert_allclose(model(np.pad(ids, ((0, 0), (0, 4)))), expected, atol=1e-5)


def test_the_tokenizer_s_files_say_how_texts_become_ids(written, exported):
    folder = written[0] / "tokenizer"
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    rule = exported.text_encoder.keras_form().prepare(tf.constant(["Red SHOE, shirt"])).numpy()
    words = ["[CLS]", "red", "shoe", "[UNK]", "shirt", "[SEP]"]
    assert rule.tolist() == [[pieces.index(word) for word in words]]
    ids = {name: settings[f"{name}_id"] for name in ("start", "end", "pad")}
    assert ids == {"start": 2, "end": 3, "pad": 0} and settings["tokens"] == 512
    assert settings["lowercase_before"] and settings["settings"]["strip_accents"]


def test_dropout_is_off_without_saying_so(written, rng):
    """A layer of Keras that resizes would switch it on for the layers behind it."""
    model = load(written, "image_model")
    pixels = rng.uniform(0, 255, (2, 20, 9, 3)).astype(np.float32)
    first, second = model(pixels), model(pixels)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(model(pixels, training=True), first)  # so there is dropout


def test_a_part_of_another_model_that_is_frozen_first_and_fine_tuned_then(written, rng):
    """The example of docs/guides/other_runtimes.md."""
    ours = load(written, "image_model")
    before = [weight.numpy() for weight in ours.weights]
    photo = keras.Input((None, None, 3), name="photo")
    price = keras.Input((1,), name="price")
    ours.trainable = False
    x = keras.layers.Concatenate()([ours(photo, training=False), price])
    model = keras.Model([photo, price], keras.layers.Dense(1)(x))
    model.compile("adam", "mse", run_eagerly=True)
    data = [rng.uniform(0, 255, (4, 12, 9, 3)).astype(np.float32), rng.random((4, 1))]
    model.fit(data, np.ones((4, 1)), verbose=0)
    for weight, old in zip(ours.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    ours.trainable = True
    model.compile(keras.optimizers.Adam(1e-3), "mse", run_eagerly=True)
    model.fit(data, np.ones((4, 1)), verbose=0)
    changed = [not np.array_equal(w, o) for w, o in zip(ours.weights, before, strict=True)]
    assert any(changed)


def test_an_encoder_without_keras_layers_leaves_a_reason(exported, tmp_path):
    class Foreign(AverageColour):
        keras_form = Encoder.keras_form

    other = Exported(exported.model, Foreign(), None, exported.taxonomy, WEIGHT)
    entries = write_formats(other, ("saved_model", "keras"), tmp_path, None)
    assert entries["files"] == {} and not list(tmp_path.iterdir())
    assert entries["not_written"] == {
        "image_model": "The encoder average_colour is not made of Keras layers; image_tower.keras takes its features.",
        "text_model": "The features are precomputed, so there is no encoder to put inside; text_tower.keras takes its features.",
    }


def test_nothing_is_written_unasked(exported, tmp_path):
    assert write_formats(exported, ("saved_model",), tmp_path, None) == {"formats": ["saved_model"]}
    assert not list(tmp_path.iterdir())


def test_random_changes_of_images_are_left_out(rng):
    """Without saying training=False, Keras would change the images, and drop units behind them."""
    images = FeatureSpec((16, 16, 3))
    change = augmentation("flip+color", seed=3)
    pool = keras.layers.GlobalAveragePooling2D()
    tower = mlp_tower(
        "image_tower",
        images,
        hidden=(8,),
        embedding_dim=4,
        dropout=0.5,
        network=[change, pool],
    )
    pixels = rng.uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
    within = keras.Input((16, 16, 3))
    for given in (tower, keras.Model(within, tower(within) * 2 / 2)):
        plain = without_augmentation(given)
        np.testing.assert_allclose(plain(pixels), tower(pixels, training=False), atol=1e-6)
        assert {id(w) for w in plain.trainable_weights} == {id(w) for w in tower.trainable_weights}


def test_pixels_are_their_own_features(rng):
    form = Pixels("pixels:16").keras_form()
    pixels = rng.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(form.model(pixels), pixels)
    file = tf.io.encode_png(pixels[0].astype(np.uint8))
    np.testing.assert_array_equal(
        form.prepare(file[tf.newaxis]), image_files.decode(file[tf.newaxis], (16, 16))
    )
