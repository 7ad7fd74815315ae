"""Accuracy by slice: by hand, against a slow reference, and of the intervals."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation import slices
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.evaluation.slices import accuracy_slices, recall_intervals, wilson_interval
from huse_tf.sections import EvaluationConfig

TAXONOMY = Taxonomy((("home", "chairs"), ("home", "sofas"), ("lamps",), ("toys", "cars")))
SIZES = np.array([1, 10, 100, 100])


def modality(predicted, mask):
    probabilities = np.eye(4)[predicted] * 0.6 + 0.1
    probabilities[~mask] = np.nan
    return ModalityPredictions(np.zeros((len(predicted), 2)), probabilities, mask)


def context(labels, products, weight=1.0):
    items = pd.DataFrame({"product_id": products, "text": "x", "labels": labels})
    return EvaluationContext(items, TAXONOMY, EvaluationConfig(), weight)


def by_name(found):
    return {(each.group, each.name): each for each in found}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(slices, "FEW", 1)


def test_slices_by_hand(few):
    """Eight items of five products. The image is right in rows 0 1 2 6; the text in rows 0 3 4 5."""
    labels = [(0,), (0,), (1,), (1,), (2,), (2,), (3,), (3,)]
    products = ["a", "a", "b", "b", "c", "c", "d", "e"]
    image = np.array([0, 0, 1, 0, 1, 3, 3, 0])
    text = np.array([0, 2, 0, 1, 2, 2, 0, 0])
    has_image, has_text = np.ones(8, bool), np.ones(8, bool)
    has_image[4] = has_text[7] = False
    predictions = Predictions(modality(image, has_image), modality(text, has_text))
    found = by_name(accuracy_slices(predictions, context(labels, products), SIZES))

    def values(group, name):
        each = found[group, name]
        shares = [share and (share.items, share.value) for share in each.accuracy.values()]
        return (each.items, each.products, *shares)

    # image, text, fused; the weight 1 takes the image, and the text where the image is missing.
    assert values("all items", "all items") == (8, 5, (7, 4 / 7), (7, 4 / 7), (8, 5 / 8))
    # Row 3 is answered with the other class below "home", so it is right at level 1; so is text row 2.
    assert values("level of the class", "level 1: 3 nodes") == (
        *(8, 5),
        (7, 5 / 7),
        (7, 5 / 7),
        (8, 6 / 8),
    )
    assert values("top-level class", "home") == (4, 2, (4, 3 / 4), (4, 2 / 4), (4, 3 / 4))
    assert values("top-level class", "lamps") == (2, 1, (1, 0.0), (2, 1.0), (2, 1 / 2))
    assert values("training items of the class", "1 (1 classes)")[:2] == (2, 1)
    assert values("training items of the class", "100 (2 classes)") == (
        *(4, 3),
        (3, 1 / 3),
        (3, 2 / 3),
        (4, 2 / 4),
    )
    assert values("inputs", "image only") == (1, 1, (1, 0.0), None, (1, 0.0))
    assert values("inputs", "text only") == (1, 1, None, (1, 1.0), (1, 1.0))
    # Product c has one image; d and e too.
    assert values("images of the product", "one")[:2] == (4, 3)
    assert values("images of the product", "several")[:2] == (4, 2)


def test_several_classes_an_item_count_in_each_of_their_slices(few):
    labels = [(0, 2), (3,)]
    everywhere = np.ones(2, bool)
    predictions = Predictions(
        modality(np.array([2, 0]), everywhere), modality(np.array([1, 3]), everywhere), True
    )
    found = by_name(accuracy_slices(predictions, context(labels, ["a", "b"]), SIZES))
    assert found["top-level class", "home"].items == found["top-level class", "lamps"].items == 1
    assert found["top-level class", "lamps"].accuracy["image"].value == 1
    # The text's answer is sofas: not a class of item 0, but below the same top-level class as chairs.
    assert found["all items", "all items"].accuracy["text"].value == 0.5
    assert found["level of the class", "level 1: 3 nodes"].accuracy["text"].value == 1
    # Item 0 counts by its rarest class.
    assert found["training items of the class", "1 (1 classes)"].items == 1


def test_below_twenty_items_there_is_no_accuracy(rng):
    for count, told in ((19, False), (20, True)):
        labels = [(0,)] * count
        everywhere = np.ones(count, bool)
        predictions = Predictions(
            *(modality(rng.integers(0, 4, count), everywhere) for _ in range(2))
        )
        [whole, *rest] = accuracy_slices(
            predictions, context(labels, [str(row) for row in range(count)])
        )
        assert [share is not None for share in whole.accuracy.values()] == [told] * 3
        # One top-level class, complete items and one image each: no group of slices but the levels.
        assert {each.group for each in rest} == {"level of the class"}


def test_the_slices_of_a_group_hold_every_item_once_and_agree_with_a_loop(rng, few):
    count = 200
    labels = rng.integers(0, 4, count)
    mask = rng.random((2, count)) < 0.8
    mask[1] |= ~mask[0]
    image, text = (modality(rng.integers(0, 4, count), each) for each in mask)
    products = rng.integers(0, 60, count).astype(str)
    predictions = Predictions(image, text)
    found = accuracy_slices(predictions, context([(each,) for each in labels], products), SIZES)
    whole, tops = found[0].accuracy["fused"], TAXONOMY.level(1)
    for group in (
        "top-level class",
        "training items of the class",
        "inputs",
        "images of the product",
    ):
        parts = [each for each in found if each.group == group]
        assert len(parts) > 1
        assert sum(each.items for each in parts) == count
        hits = sum(each.accuracy["fused"].value * each.items for each in parts)
        assert hits == pytest.approx(whole.value * count)
    for each in found:
        if each.group == "top-level class":
            rows = [row for row in range(count) if tops[labels[row]] == each.name and mask[0][row]]
            right = [np.argmax(image.probabilities[row]) == labels[row] for row in rows]
            assert each.accuracy["image"].items == len(rows)
            assert each.accuracy["image"].value == pytest.approx(np.mean(right))
            assert each.products == len(
                {products[row] for row in range(count) if tops[labels[row]] == each.name}
            )
            share = each.accuracy["image"]
            distinct = len({products[row] for row in rows})
            assert (share.low, share.high) == wilson_interval(share.value, distinct)


@pytest.mark.parametrize(("right", "count"), [(0, 5), (3, 20), (50, 50), (177, 354)])
def test_the_interval_is_wilsons(right, count):
    expected = scipy.stats.binomtest(right, count).proportion_ci(method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx((expected.low, expected.high))


def test_recalls_of_own_products_have_intervals_and_others_have_none():
    metrics = {
        "image_to_text/item/recall_at_10": 0.5,
        "image_to_text/item/queries": 300.0,
        "image_to_text/class/recall_at_10": 0.5,
        "image_to_text/class/queries": 300.0,
        "text_to_text/item/queries": 0.0,
        "text_to_text/item/median_rank": 3.0,
    }
    assert recall_intervals(metrics, 100) == {
        "image_to_text/item/recall_at_10": wilson_interval(0.5, 100)
    }
