"""What a model predicts from each modality, and the galleries made of it."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.evaluation import predictions as predicting
from huse_tf.evaluation.predictions import (
    ModalityPredictions,
    Predictions,
    galleries,
    predict,
)
from huse_tf.models import inference


@pytest.fixture(scope="module")
def model():
    """Outputs that are known functions of the features: embeddings their directions, logits sums."""
    keras.utils.set_random_seed(0)
    inputs = {
        name: keras.Input((3,), name=name) for name in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)
    }
    outputs = {}
    for modality in (keys.IMAGE, keys.TEXT):
        x = inputs[keys.features(modality)]
        outputs[keys.embedding(modality)] = keras.layers.UnitNormalization()(x)
        outputs[keys.logits(modality)] = keras.layers.Dropout(0.5)(x * 2)
    return keras.Model(inputs, outputs)


def features(rng, count):
    modalities = (keys.IMAGE, keys.TEXT)
    vectors = {keys.features(m): rng.normal(size=(count, 3)).astype("f4") for m in modalities}
    return {**vectors, **{keys.mask(m): np.ones(count, np.float32) for m in modalities}}


def softmax(logits):
    shares = np.exp(logits.astype(np.float64))
    return shares / shares.sum(axis=1, keepdims=True)


def test_predictions_are_softmaxes_and_embeddings_without_dropout(rng, model):
    batch = features(rng, 7)
    found = predict(model, {**batch, keys.LABEL: np.zeros(7, np.int32)})
    np.testing.assert_allclose(
        found.image.probabilities, softmax(2 * batch[keys.IMAGE_FEATURES]), atol=1e-6
    )
    np.testing.assert_allclose(
        found.text.probabilities, softmax(2 * batch[keys.TEXT_FEATURES]), atol=1e-6
    )
    for modality in (keys.IMAGE, keys.TEXT):
        x = batch[keys.features(modality)]
        expected = x / np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(found.of(modality).embedding, expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 10, 11, 1024])
def test_batches_do_not_change_predictions(rng, model, monkeypatch, size):
    batch = features(rng, 11)
    whole = predict(model, batch)
    monkeypatch.setattr(inference, "_ITEMS_A_BATCH", size)
    parts = predict(model, batch)
    for modality in (keys.IMAGE, keys.TEXT):
        for field in dataclasses.fields(ModalityPredictions):
            one, other = (getattr(each.of(modality), field.name) for each in (whole, parts))
            assert np.shape(one) == np.shape(other)
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("multi_label", [False, True])
def test_predictions_from_a_missing_modality_are_nan(rng, model, multi_label):
    batch = features(rng, 4)
    batch[keys.IMAGE_MASK][1] = batch[keys.TEXT_MASK][[0, 3]] = 0
    found = predict(model, batch, multi_label)
    assert found.image.mask.tolist() == [True, False, True, True]
    assert found.text.mask.tolist() == [False, True, True, False]
    for modality in (keys.IMAGE, keys.TEXT):
        one = found.of(modality)
        for rows in (one.embedding, one.probabilities):
            finite = np.isfinite(rows)
            np.testing.assert_array_equal(finite.all(axis=1), one.mask)
            np.testing.assert_array_equal(finite.any(axis=1), finite.all(axis=1))
    assert np.isfinite(found.fused(0.5)).all()


def test_predictions_of_label_sets_are_sigmoids(rng, model):
    batch = features(rng, 5)
    found = predict(model, batch, multi_label=True)
    expected = 1 / (1 + np.exp(-2 * batch[keys.IMAGE_FEATURES].astype(np.float64)))
    np.testing.assert_allclose(found.image.probabilities, expected, atol=1e-6)
    extremes = predicting._sigmoid(np.array([-1e4, 0, 1e4], np.float32))
    np.testing.assert_allclose(extremes, [0, 0.5, 1])


def test_softmax_of_extreme_scores_is_finite():
    """exp(1000) overflows; only differences count: scores 1000 and 999 are as 1 and 0."""
    logits = np.array([[1000, 999, -1000], [-1000, -1000, -1000]], np.float32)
    expected = [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], [1 / 3] * 3]
    np.testing.assert_allclose(predicting._softmax(logits), expected, atol=1e-6)


def complete(image_embedding, text_embedding, image_probabilities, text_probabilities):
    """Predictions of items with image and text."""
    everywhere = np.ones(len(image_embedding), bool)
    return Predictions(
        ModalityPredictions(image_embedding, image_probabilities, everywhere),
        ModalityPredictions(text_embedding, text_probabilities, everywhere),
    )


def unit(rng, count):
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_fused_is_the_weighted_mean():
    one, two = np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]])
    predictions = complete(one, two, one, two)
    np.testing.assert_allclose(predictions.fused(0.25), [[0.5, 0.5]])
    np.testing.assert_allclose(predictions.fused(1.0), one)


def test_the_text_gallery_has_each_text_of_a_product_once(rng):
    """Items 0 and 1 are two images of one product with one text."""
    shares = softmax(rng.normal(size=(4, 3)))
    predictions = complete(unit(rng, 4), unit(rng, 4), shares, shares)
    items = pd.DataFrame({"product_id": [*"aabc"], "text": [*"xxyz"], "label": [0, 0, 1, 2]})
    image, text = galleries(predictions, items)
    np.testing.assert_array_equal(image.embeddings, predictions.image.embedding)
    np.testing.assert_array_equal(image.items, [0, 1, 2, 3])
    np.testing.assert_array_equal(text.embeddings, predictions.text.embedding[[0, 2, 3]])
    np.testing.assert_array_equal(text.items, [0, 2, 3])
    np.testing.assert_array_equal(text.labels, [0, 1, 2])
    assert image.products[0] == image.products[1] == text.products[0]
    assert len(set(image.products)) == 3


def test_a_model_of_two_replicas_answers_once(rng, mirrored):
    """As while training over several devices; `Model.predict_on_batch` answers once a replica."""
    batch = features(rng, 5)
    with mirrored.scope():
        names = (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)
        inputs = {key: keras.Input((3,), name=key) for key in names}
        outputs = {}
        for modality in (keys.IMAGE, keys.TEXT):
            x = inputs[keys.features(modality)]
            outputs[keys.embedding(modality)] = keras.layers.UnitNormalization()(x)
            outputs[keys.logits(modality)] = keras.layers.Dense(4)(x)
        model = keras.Model(inputs, outputs)
    found = predict(model, batch)
    assert len(found.image.embedding) == len(found.text.probabilities) == 5
    again = predict(model, {key: value[2:] for key, value in batch.items()})
    np.testing.assert_allclose(again.text.probabilities, found.text.probabilities[2:], atol=1e-6)
