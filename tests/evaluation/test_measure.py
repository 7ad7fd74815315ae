"""All metrics of a model: by hand, of missing modalities, and what must not change them."""

import dataclasses

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.measure import measure
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions, galleries
from huse_tf.sections import EvaluationConfig

TAXONOMY = Taxonomy((("home", "chairs"), ("home", "sofas"), ("lamps",)))
CONFIG = EvaluationConfig(recall_at=(1, 2), precision_at=(2,))


def softmax(logits):
    shares = np.exp(logits.astype(np.float64))
    return shares / shares.sum(axis=1, keepdims=True)


def complete(image_embedding, text_embedding, image_probabilities, text_probabilities):
    """Predictions of items with image and text."""
    everywhere = np.ones(len(image_embedding), bool)
    return Predictions(
        ModalityPredictions(image_embedding, image_probabilities, everywhere),
        ModalityPredictions(text_embedding, text_probabilities, everywhere),
    )


def measured(predictions, items, config=CONFIG, weight=None, seen=None):
    """`measure` with the classes of this file."""
    return measure(predictions, EvaluationContext(items, TAXONOMY, config, weight, seen))


def make_items(products=("a", "a", "b", "c"), texts=("x", "x", "y", "z"), labels=(0, 0, 1, 2)):
    return pd.DataFrame({"product_id": products, "text": texts, "label": labels})


def unit(rng, count):
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_predictions(rng, count):
    return complete(
        unit(rng, count),
        unit(rng, count),
        softmax(rng.normal(size=(count, 3))),
        softmax(rng.normal(size=(count, 3))),
    )


def test_the_index_of_the_items_does_not_matter(rng):
    """A split keeps the row numbers of the whole table."""
    predictions = random_predictions(rng, 4)
    items = make_items()
    other = items.set_index(pd.Index([7, 3, 90, 4]))
    assert measured(predictions, items, CONFIG, 0.5) == measured(predictions, other, CONFIG, 0.5)


def test_the_fusion_weight_is_tuned_only_where_none_is_given():
    """The image is always right and the text always wrong, so all weight belongs to the image."""
    rng = np.random.default_rng(0)
    right, wrong = np.eye(3)[[0, 0, 1, 2]], np.eye(3)[[1, 1, 2, 0]]
    predictions = complete(unit(rng, 4), unit(rng, 4), right, wrong)
    tuned, _ = measured(predictions, make_items(), CONFIG)
    assert tuned["classification/fusion_weight"] > 0.5
    assert tuned["classification/fused/accuracy"] == 1
    given, _ = measured(predictions, make_items(), CONFIG, 0.0)
    assert given["classification/fusion_weight"] == 0
    assert given["classification/fused/accuracy"] == 0
    assert given["classification/image/accuracy"] == 1
    assert given["classification/text/accuracy"] == 0


def test_metrics_of_perfect_embeddings_by_hand():
    """Each class at its own axis: all of a class come first. Each class is one product's, so no query has
    another one to find; with the own product among the candidates all find it first.

    Text to image: each of the three texts finds its class first. Image to image: a1 finds a2.
    HP@2, hCorrectSet of two of the nearest classes: chairs and sofas are two edges apart and lamps
    three from either, so chairs and sofas make a set; from lamps both are three away, so all are in.
    """
    axes = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
    shares = np.eye(3)[[0, 0, 1, 2]]
    predictions = complete(axes, axes, shares, shares)
    config = dataclasses.replace(CONFIG, with_own_product=True)
    metrics, undefined = measured(predictions, make_items(), config, 0.5)
    assert metrics["text_to_image/with_own_product/class/recall_at_1"] == 1
    assert metrics["text_to_image/with_own_product/class/queries"] == 3
    assert metrics["image_to_image/with_own_product/class/queries"] == 2
    assert metrics["image_to_image/with_own_product/class/queries_without_relevant"] == 2
    assert metrics["image_to_image/with_own_product/class/mean_average_precision"] == 1
    assert metrics["image_to_image/class/queries_without_relevant"] == 4
    assert metrics["image_to_text/item/recall_at_1"] == 1
    without = "no query has another product's {} of its class among the candidates"
    assert undefined == {
        **{
            f"{source}_to_{target}/class": without.format(target)
            for source in ("image", "text")
            for target in ("image", "text")
        },
        "text_to_text/with_own_product/class": (
            "no query has another text of its class among the candidates"
        ),
        "text_to_text/item": "no query has another text of its product among the candidates",
        "pairs/same_class": "no complete item has another product of its class beside it",
    }
    assert "text_to_text/hierarchical_precision_at_2" in metrics


def without(predictions, image=(), text=()):
    """The predictions, of items of which these have no image and those no text."""
    changes = {}
    for modality, rows in ((keys.IMAGE, list(image)), (keys.TEXT, list(text))):
        one = predictions.of(modality)
        embedding, probabilities = one.embedding.copy(), one.probabilities.copy()
        mask = np.ones(len(embedding), bool)
        embedding[rows], probabilities[rows], mask[rows] = np.nan, np.nan, False
        changes[modality] = ModalityPredictions(embedding, probabilities, mask)
    return dataclasses.replace(predictions, **changes)


def test_a_missing_modality_neither_searches_nor_is_found(rng):
    """Item 0 has no text, so the text of its product comes from item 1; item 3 has no image."""
    predictions = without(random_predictions(rng, 4), image=[3], text=[0])
    image, text = galleries(predictions, make_items())
    assert image.items.tolist() == [0, 1, 2]
    assert text.items.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(text.embeddings, predictions.text.embedding[[1, 2, 3]])
    metrics, _ = measured(predictions, make_items(), CONFIG, 0.5)
    asked = ("queries", "queries_without_relevant")
    assert sum(metrics[f"image_to_text/class/{name}"] for name in asked) == 3
    assert metrics["classification/fused/image_only/items"] == 1
    assert metrics["classification/fused/text_only/items"] == 1
    assert metrics["classification/fused/image_and_text/items"] == 2
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_fusion_weight_is_tuned_on_complete_items():
    """The image is right where there is a text to compare with, and wrong where it stands alone."""
    rng = np.random.default_rng(0)
    right, wrong = np.eye(3)[[0, 0, 1, 2]], np.eye(3)[[1, 1, 2, 0]]
    image = np.concatenate([right[:2], wrong[2:]])
    predictions = without(complete(unit(rng, 4), unit(rng, 4), image, wrong), text=[2, 3])
    assert measured(predictions, make_items(), CONFIG)[0]["classification/fusion_weight"] > 0.5
    nothing = without(predictions, text=[0, 1, 2, 3])
    metrics, undefined = measured(nothing, make_items(), CONFIG)
    assert metrics["classification/fusion_weight"] == 0.5
    assert undefined["classification/text"] == "every item lacks its text"
    assert undefined["text_to_image"] == "every item lacks its text"


def test_label_sets_are_measured_as_sets(rng):
    """Embeddings at the axis of the first class; item 1 also has the class of item 3."""
    axes, labels = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]], [(0,), (0, 2), (1,), (2,)]
    shares = np.array([[0.9, 0.1, 0.1], [0.9, 0.2, 0.4], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
    predictions = dataclasses.replace(complete(axes, axes, shares, shares), multi_label=True)
    items = make_items().assign(labels=labels)
    metrics, _ = measured(predictions, items, CONFIG)
    assert metrics["classification/fused/hit_at_1"] == 1
    assert metrics["classification/fused/subset_accuracy"] == 0.75
    assert "classification/fused/accuracy" not in metrics
    # Items 1 and 3 share a class, and come last of all for each other; 0 and 1 are of one product.
    assert metrics["image_to_image/class/queries"] == 2
    assert metrics["image_to_image/class/recall_at_1"] == 0
    assert metrics["image_to_image/class/median_rank"] == 2.5


def test_cut_offs_beyond_the_number_of_classes_are_listed_as_undefined(rng):
    config = EvaluationConfig(recall_at=(1, 50), precision_at=(1, 2, 3, 4, 10))
    metrics, undefined = measured(random_predictions(rng, 4), make_items(), config, 0.5)
    for k in (4, 10):
        assert undefined[f"hierarchical_precision_at_{k}"] == "there are only 3 classes"
    assert "every class" in undefined["hierarchical_precision_at_3"]
    named = {name.rpartition("_")[2] for name in metrics if "hierarchical" in name}
    assert named == {"1", "2"}
    assert metrics["image_to_image/item/recall_at_50"] == 1


def test_chunks_do_not_change_metrics(rng):
    predictions, items = random_predictions(rng, 4), make_items()
    whole = measured(predictions, items, CONFIG, 0.5)
    small = dataclasses.replace(CONFIG, query_chunk=1)
    assert measured(predictions, items, small, 0.5) == whole


def test_retrieval_is_measured_by_availability_pattern(rng):
    """Item 1 has a text only, item 3 an image only; without missing modalities there are no patterns."""
    predictions = without(random_predictions(rng, 4), image=[1], text=[3])
    metrics, _ = measured(predictions, make_items(), CONFIG, 0.5)
    asked = {
        pattern: {
            source: metrics.get(f"{source}_to_image/{pattern}/item/queries", 0)
            + metrics.get(f"{source}_to_image/{pattern}/item/queries_without_relevant", 0)
            for source in ("image", "text")
        }
        for pattern in ("image_and_text", "image_only", "text_only")
    }
    assert asked["image_and_text"] == {"image": 2, "text": 2}
    assert asked["image_only"] == {"image": 1, "text": 0}
    # Item 1's text is that of item 0, which stands for both in the gallery.
    assert asked["text_only"] == {"image": 0, "text": 0}
    complete_ones, _ = measured(random_predictions(rng, 4), make_items(), CONFIG, 0.5)
    assert not any("image_and_text" in path for path in complete_ones)


def test_zero_shot_metrics_are_of_the_unseen_classes(rng):
    """Both items are of class 2, which alone is unseen: the only candidate, and last among all."""
    scores = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    vectors = unit(rng, 2)
    items = make_items(("a", "b"), ("x", "y"), (2, 2))
    predictions = complete(vectors, vectors, scores, scores)
    seen = np.array([True, True, False])
    metrics, _ = measured(predictions, items, CONFIG, 0.5, seen)
    assert metrics["zero_shot/unseen_only/candidates"] == 1
    for source in ("image", "text", "fused"):
        assert metrics[f"zero_shot/all/{source}/hit_at_1"] == 0
        assert metrics[f"zero_shot/all/{source}/hit_at_2"] == 0
    plain, _ = measured(predictions, items, CONFIG, 0.5)
    assert not any(path.startswith("zero_shot") for path in plain)
    assert plain["classification/image/hit_at_2"] == 0
