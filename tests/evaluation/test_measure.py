import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.config import EvaluationConfig
from huse_tf.data.taxonomy import Taxonomy
from huse_tf.evaluation import measure as measures
from huse_tf.evaluation.measure import Predictions, galleries, measure, predict

TAXONOMY = Taxonomy((("home", "chairs"), ("home", "sofas"), ("lamps",)))
CONFIG = EvaluationConfig(recall_at=(1, 2), precision_at=(2,))


@pytest.fixture(scope="module")
def model():
    """Outputs that are known functions of the features: embeddings their directions, logits sums."""
    keras.utils.set_random_seed(0)
    inputs = {
        name: keras.Input((3,), name=name) for name in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)
    }
    outputs = {}
    for modality in (keys.IMAGE, keys.TEXT):
        x = inputs[f"{modality}_features"]
        outputs[f"{modality}_embedding"] = keras.layers.UnitNormalization()(x)
        outputs[f"{modality}_logits"] = keras.layers.Dropout(0.5)(x * 2)
    return keras.Model(inputs, outputs)


def features(rng, count):
    return {
        name: rng.normal(size=(count, 3)).astype(np.float32)
        for name in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)
    }


def softmax(logits):
    shares = np.exp(logits.astype(np.float64))
    return shares / shares.sum(axis=1, keepdims=True)


def test_predictions_are_softmaxes_and_embeddings_without_dropout(rng, model):
    batch = features(rng, 7)
    found = predict(model, {**batch, keys.LABEL: np.zeros(7, np.int32)})
    np.testing.assert_allclose(
        found.image_probabilities, softmax(2 * batch[keys.IMAGE_FEATURES]), atol=1e-6
    )
    np.testing.assert_allclose(
        found.text_probabilities, softmax(2 * batch[keys.TEXT_FEATURES]), atol=1e-6
    )
    for modality in (keys.IMAGE, keys.TEXT):
        x = batch[f"{modality}_features"]
        expected = x / np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(getattr(found, f"{modality}_embedding"), expected, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 10, 11, 1024])
def test_batches_do_not_change_predictions(rng, model, monkeypatch, size):
    batch = features(rng, 11)
    whole = predict(model, batch)
    monkeypatch.setattr(measures, "_ITEMS_A_BATCH", size)
    parts = predict(model, batch)
    for field in dataclasses.fields(Predictions):
        one, other = getattr(whole, field.name), getattr(parts, field.name)
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_softmax_of_extreme_scores_is_finite():
    """exp(1000) overflows; only differences count: scores 1000 and 999 are as 1 and 0."""
    logits = np.array([[1000, 999, -1000], [-1000, -1000, -1000]], np.float32)
    expected = [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], [1 / 3] * 3]
    np.testing.assert_allclose(measures._softmax(logits), expected, atol=1e-6)


def test_fused_is_the_weighted_mean():
    one, two = np.array([[0.8, 0.2]]), np.array([[0.4, 0.6]])
    predictions = Predictions(one, two, one, two)
    np.testing.assert_allclose(predictions.fused(0.25), [[0.5, 0.5]])
    np.testing.assert_allclose(predictions.fused(1.0), one)


def make_items(products=("a", "a", "b", "c"), texts=("x", "x", "y", "z"), labels=(0, 0, 1, 2)):
    return pd.DataFrame({"product_id": products, "text": texts, "label": labels})


def unit(rng, count):
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_predictions(rng, count):
    return Predictions(
        unit(rng, count),
        unit(rng, count),
        softmax(rng.normal(size=(count, 3))),
        softmax(rng.normal(size=(count, 3))),
    )


def test_the_text_gallery_has_each_text_of_a_product_once(rng):
    """Items 0 and 1 are two pictures of one product with one text."""
    predictions = random_predictions(rng, 4)
    image, text = galleries(predictions, make_items())
    np.testing.assert_array_equal(image.embeddings, predictions.image_embedding)
    np.testing.assert_array_equal(image.items, [0, 1, 2, 3])
    np.testing.assert_array_equal(text.embeddings, predictions.text_embedding[[0, 2, 3]])
    np.testing.assert_array_equal(text.items, [0, 2, 3])
    np.testing.assert_array_equal(text.labels, [0, 1, 2])
    assert image.products[0] == image.products[1] == text.products[0]
    assert len(set(image.products)) == 3


def test_the_index_of_the_items_does_not_matter(rng):
    """One side of a split keeps the row numbers of the whole."""
    predictions = random_predictions(rng, 4)
    items = make_items()
    other = items.set_index(pd.Index([7, 3, 90, 4]))
    assert measure(predictions, items, TAXONOMY, CONFIG, 0.5) == measure(
        predictions, other, TAXONOMY, CONFIG, 0.5
    )


def test_the_fusion_weight_is_tuned_only_where_none_is_given():
    """The image is always right and the text always wrong, so all weight belongs to the image."""
    rng = np.random.default_rng(0)
    right, wrong = np.eye(3)[[0, 0, 1, 2]], np.eye(3)[[1, 1, 2, 0]]
    predictions = Predictions(unit(rng, 4), unit(rng, 4), right, wrong)
    tuned, _ = measure(predictions, make_items(), TAXONOMY, CONFIG)
    assert tuned["classification/fusion_weight"] > 0.5
    assert tuned["classification/fused/accuracy"] == 1
    given, _ = measure(predictions, make_items(), TAXONOMY, CONFIG, 0.0)
    assert given["classification/fusion_weight"] == 0
    assert given["classification/fused/accuracy"] == 0
    assert given["classification/image/accuracy"] == 1
    assert given["classification/text/accuracy"] == 0


def test_figures_of_perfect_embeddings_by_hand():
    """Each class at its own axis: all of a class come first; c, alone in its class, has no other.

    Text to image: each of the three texts finds its class first. Image to image: a1 finds a2.
    HP@2, hCorrectSet of two of the nearest classes: chairs and sofas are two edges apart and lamps
    three from either, so chairs and sofas make a set; from lamps both are three away, so all are in.
    """
    axes = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
    shares = np.eye(3)[[0, 0, 1, 2]]
    predictions = Predictions(axes, axes, shares, shares)
    metrics, undefined = measure(predictions, make_items(), TAXONOMY, CONFIG, 0.5)
    assert metrics["text_to_image/class/recall_at_1"] == 1
    assert metrics["text_to_image/class/queries"] == 3
    assert metrics["image_to_image/class/queries"] == 2
    assert metrics["image_to_image/class/queries_without_relevant"] == 2
    assert metrics["image_to_image/class/mean_average_precision"] == 1
    assert metrics["image_to_text/item/recall_at_1"] == 1
    assert undefined == {
        "text_to_text/class": "no query has another text of its class among the candidates",
        "text_to_text/item": "no query has another text of its product among the candidates",
    }
    assert "text_to_text/hierarchical_precision_at_2" in metrics


def test_cut_offs_beyond_the_number_of_classes_are_listed_as_undefined(rng):
    config = EvaluationConfig(recall_at=(1, 50), precision_at=(1, 2, 3, 4, 10))
    metrics, undefined = measure(random_predictions(rng, 4), make_items(), TAXONOMY, config, 0.5)
    for k in (4, 10):
        assert undefined[f"hierarchical_precision_at_{k}"] == "there are only 3 classes"
    assert "every class" in undefined["hierarchical_precision_at_3"]
    named = {name.rpartition("_")[2] for name in metrics if "hierarchical" in name}
    assert named == {"1", "2"}
    assert metrics["image_to_image/class/recall_at_50"] == 1


def test_chunks_do_not_change_figures(rng):
    predictions, items = random_predictions(rng, 4), make_items()
    whole = measure(predictions, items, TAXONOMY, CONFIG, 0.5)
    small = dataclasses.replace(CONFIG, query_chunk=1)
    assert measure(predictions, items, TAXONOMY, small, 0.5) == whole


def test_a_model_of_two_replicas_answers_once(rng, mirrored):
    """As while training over several devices; `Model.predict_on_batch` answers once a replica."""
    batch = features(rng, 5)
    with mirrored.scope():
        inputs = {key: keras.Input((3,), name=key) for key in batch}
        outputs = {}
        for modality in (keys.IMAGE, keys.TEXT):
            x = inputs[f"{modality}_features"]
            outputs[f"{modality}_embedding"] = keras.layers.UnitNormalization()(x)
            outputs[f"{modality}_logits"] = keras.layers.Dense(4)(x)
        model = keras.Model(inputs, outputs)
    found = predict(model, batch)
    for field in dataclasses.fields(Predictions):
        assert len(getattr(found, field.name)) == 5
    again = predict(model, {key: value[2:] for key, value in batch.items()})
    np.testing.assert_allclose(again.text_probabilities, found.text_probabilities[2:], atol=1e-6)
