import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.methods.huse import Huse
from huse_tf.models.two_tower import (
    embedding_model,
    linear_classifier,
    modality_model,
    separate_classifiers,
    two_tower_model,
)
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.towers.mlp import mlp_tower

SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, np.zeros((3, 3), np.float32))
WORDS = DataSpec(FeatureSpec((6,)), FeatureSpec((7,), vocabulary_size=11), 3, SPEC.class_distances)


def small(spec=SPEC, **settings):
    keras.utils.set_random_seed(1)
    defaults = {
        "embedding_dim": 8,
        "image_layers": (16, 16),
        "text_layers": (16,),
        "image_power": 1.0,
        "classifier_norm": 1.0,
    }
    return Huse.of(**{**defaults, **settings}).build_model(spec)


def features(rng, batch, spec=SPEC):
    if spec.text.vocabulary_size is None:
        text = rng.normal(size=(batch, *spec.text.shape)).astype(np.float32)
    else:
        text = rng.integers(0, spec.text.vocabulary_size, (batch, *spec.text.shape)).astype(
            np.int32
        )
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(batch, *spec.image.shape)).astype(np.float32),
        keys.TEXT_FEATURES: text,
    }


@pytest.mark.parametrize("spec", [SPEC, WORDS], ids=["floats", "words"])
@pytest.mark.parametrize("batch", [1, 2, 32])
def test_every_embedding_has_unit_norm(rng, batch, spec):
    outputs = small(spec)(features(rng, batch, spec))
    for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING):
        assert outputs[key].shape == (batch, 8)
        np.testing.assert_allclose(np.linalg.norm(outputs[key], axis=1), 1, atol=1e-5)


def test_both_modalities_share_one_kernel_and_bias(rng):
    model = small()
    classifier = model.get_layer("classifier")
    classifier.bias.assign(rng.normal(size=3))
    outputs = model(features(rng, 4))
    for embedding, logits in (
        (keys.IMAGE_EMBEDDING, keys.IMAGE_LOGITS),
        (keys.TEXT_EMBEDDING, keys.TEXT_LOGITS),
    ):
        expected = outputs[embedding] @ classifier.kernel.numpy() + classifier.bias.numpy()
        np.testing.assert_allclose(outputs[logits], expected, atol=1e-5)
    kernels = [w for w in model.trainable_variables if w.shape[-1] == 3 and len(w.shape) == 2]
    assert len(kernels) == 1


def test_an_image_embedding_does_not_depend_on_the_text(rng):
    model, batch = small(), features(rng, 3)
    other = {**batch, keys.TEXT_FEATURES: batch[keys.TEXT_FEATURES] + 1}
    first, second = model(batch), model(other)
    np.testing.assert_array_equal(first[keys.IMAGE_EMBEDDING], second[keys.IMAGE_EMBEDDING])
    assert np.abs(first[keys.TEXT_EMBEDDING] - second[keys.TEXT_EMBEDDING]).max() > 1e-3


def test_dropout_acts_in_training_only(rng):
    model, batch = small(), features(rng, 3)
    key = keys.IMAGE_EMBEDDING
    np.testing.assert_array_equal(model(batch)[key], model(batch)[key])
    assert np.abs(model(batch, training=True)[key] - model(batch)[key]).max() > 1e-3


def test_sizes_are_free(rng):
    model = small(image_layers=(4,), text_layers=(), embedding_dim=3)
    assert [
        layer.units for layer in model.get_layer("image_tower").layers if hasattr(layer, "units")
    ] == [4, 3]
    assert model(features(rng, 2))[keys.TEXT_EMBEDDING].shape == (2, 3)


def test_relu_before_normalisation_confines_distances(rng):
    """The linear default lets cosine distances exceed 1, as distances of class names may."""
    batch = features(rng, 32)
    for activation, confined in (("relu", True), ("linear", False)):
        embedding = small(last_activation=activation)(batch)[keys.IMAGE_EMBEDDING]
        distances = 1 - tf.matmul(embedding, embedding, transpose_b=True)
        assert bool(tf.reduce_max(distances) <= 1 + 1e-6) is confined


@pytest.mark.parametrize("spec", [SPEC, WORDS], ids=["floats", "words"])
def test_saved_model_loads_equal_with_stock_keras(rng, tmp_path, spec):
    model, batch = small(spec), features(rng, 3, spec)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for key, value in model(batch).items():
        np.testing.assert_allclose(again(batch)[key], value, atol=1e-6)


def test_words_beyond_the_padding_do_not_matter(rng):
    """Two more zeros of padding leave a text's embedding as it was."""
    model = small(WORDS)
    ids = np.array([[3, 4, 5, 0, 0, 0, 0]], np.int32)
    tower = model.get_layer("text_tower")
    trained = tower.get_layer("text_tower_words").embeddings
    trained.assign(trained + 1)  # a padding vector far from zero
    before = tower(ids)
    row = trained.numpy()
    row[0] += 10
    trained.assign(row)
    np.testing.assert_allclose(tower(ids), before, atol=1e-6)


def test_class_vectors_start_with_the_norm_asked_for():
    """512 normal draws of variance (n / sqrt(512))^2 have norm n within a few per cent."""
    kernel = small(embedding_dim=512, classifier_norm=16.0).get_layer("classifier").kernel
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 16, rtol=0.15)


def make_classifiers(shared, trained=True):
    if shared:
        return (linear_classifier(3, 4, norm=1.0, trainable=trained),) * 2
    return separate_classifiers(3, 4, norm=1.0, trainable=trained)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("trained", [True, False])
def test_classifiers_are_shared_or_not_and_trained_or_not(rng, shared, trained):
    towers = [
        mlp_tower(name, features, hidden=(), embedding_dim=4, dropout=0.0)
        for name, features in (("image_tower", SPEC.image), ("text_tower", SPEC.text))
    ]
    model = two_tower_model(SPEC, *towers, *make_classifiers(shared, trained))
    classifiers = [layer for layer in model.layers if "classifier" in layer.name]
    assert len(classifiers) == (1 if shared else 2)
    with tf.GradientTape() as tape:
        outputs = model(features(rng, 5))
        loss = tf.reduce_sum(outputs[keys.IMAGE_LOGITS] ** 2 + outputs[keys.TEXT_LOGITS] ** 2)
    taught = [tower.trainable_variables[0] for tower in towers]
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, taught))
    kernels = {v.path for v in model.trainable_variables if "classifier" in v.path}
    assert kernels == ({v.path for c in classifiers for v in c.weights} if trained else set())


@pytest.mark.parametrize("shared", [True, False])
def test_the_part_of_one_modality_is_the_model(rng, shared):
    towers = [
        mlp_tower(name, features, hidden=(3,), embedding_dim=4, dropout=0.5)
        for name, features in (("image_tower", SPEC.image), ("text_tower", SPEC.text))
    ]
    model = two_tower_model(SPEC, *towers, *make_classifiers(shared))
    batch = features(rng, 5)
    outputs = model(batch)
    for name in (keys.IMAGE, keys.TEXT):
        embedding, logits = modality_model(model, name)(batch[keys.features(name)])
        np.testing.assert_array_equal(embedding, outputs[keys.embedding(name)])
        np.testing.assert_array_equal(logits, outputs[keys.logits(name)])
        np.testing.assert_array_equal(
            embedding_model(model, name)(batch[keys.features(name)]), embedding
        )
