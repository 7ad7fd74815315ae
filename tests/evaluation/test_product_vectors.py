"""The weight of images in a product's vector: the rule written out in loops, and the traps it must avoid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from huse_tf.evaluation.late_fusion import bagged_choice
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.evaluation.product_vectors import ProductParts, choose_image_weight

GRID = np.array([0.0, 0.3, 0.6, 1.0])


def unit(rows):
    rows = np.asarray(rows, float)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def make(products, labels, image, text, texts=None, image_mask=None, text_mask=None):
    """(predictions, items) of embeddings; rows without a modality are NaN, as a model's are."""
    count = len(products)

    def of(rows, mask):
        mask = np.ones(count, bool) if mask is None else np.asarray(mask, bool)
        rows = np.where(mask[:, None], unit(rows), np.nan).astype(np.float32)
        return ModalityPredictions(rows, np.zeros((count, 2), np.float32), mask)

    texts = [f"text of {p}" for p in products] if texts is None else texts
    column = {"labels": labels} if isinstance(labels[0], tuple) else {"label": labels}
    items = pd.DataFrame({"product_id": products, "text": texts, **column})
    multi_label = "labels" in column
    return Predictions(of(image, image_mask), of(text, text_mask), multi_label), items


def random_catalogue(seed, several=True):
    """30 products in 5 classes with 1 to 3 images, some without a text, some without an image."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 4, 30) if several else np.ones(30, int)
    products = np.repeat(np.arange(30), images)
    labels = products % 5
    base = rng.normal(size=(30, 6)) + 1.5 * np.eye(6)[np.arange(30) % 5]
    image = base[products] + 0.8 * rng.normal(size=(len(products), 6))
    text = (base + rng.normal(size=(30, 6)))[products]
    return make(
        [f"p{p:02}" for p in products],
        labels,
        image,
        text,
        image_mask=~np.isin(products, (3, 17)),
        text_mask=~np.isin(products, (5, 11)),
    )


def vector(images, text, weight):
    """As the README says: average, unit norm, weighted sum, unit norm; a missing part has no weight."""
    parts = []
    if len(images):
        parts.append((weight, unit(np.mean(images, axis=0))))
    if text is not None:
        parts.append((1 - weight, text))
    if len(parts) == 1:
        return parts[0][1]
    return unit(sum(share * part for share, part in parts))


def slow(predictions, items, weights):
    """[g] merits: every query ranks every product, one by one."""
    names = sorted(set(items["product_id"]))
    images = {n: [] for n in names}
    text, label = dict.fromkeys(names), {}
    for row, name in enumerate(items["product_id"]):
        label[name] = items["label"][row]
        if predictions.image.mask[row]:
            images[name].append(predictions.image.embedding[row].astype(float))
        if predictions.text.mask[row]:
            text[name] = predictions.text.embedding[row].astype(float)

    def by_class(query, name, vectors):
        others = sorted((n for n in names if n != name), key=lambda n: -query @ vectors[n])
        places = [r for r, n in enumerate(others, start=1) if label[n] == label[name]]
        return np.mean([hit / r for hit, r in enumerate(places, start=1)]) if places else None

    merits = []
    for weight in weights:
        vectors = {n: vector(images[n], text[n], weight) for n in names}
        kinds = [{}, {}]
        for name in names:
            for place, query in enumerate(images[name]):
                rest = images[name][:place] + images[name][place + 1 :]
                if rest:
                    own = query @ vector(rest, text[name], weight)
                    before = sum(query @ vectors[n] >= own for n in names if n != name)
                    value = 1 / (1 + before)
                else:
                    value = by_class(query, name, vectors)
                if value is not None:
                    kinds[0].setdefault(name, []).append(value)
            if text[name] is not None:
                value = by_class(text[name], name, vectors)
                if value is not None:
                    kinds[1].setdefault(name, []).append(value)
        means = [np.mean([np.mean(v) for v in kind.values()]) for kind in kinds]
        owners = [sum(bool(v) for v in images.values()), sum(t is not None for t in text.values())]
        merits.append((*means, np.average(means, weights=owners)))
    return np.array(merits).T


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("several", [True, False])
def test_the_curves_are_those_of_slow_loops(seed, several):
    predictions, items = random_catalogue(seed, several)
    found = choose_image_weight(predictions, items, GRID, chunk=7)
    image, text, mean = slow(predictions, items, GRID)
    np.testing.assert_allclose(found.image, image, atol=1e-6)
    np.testing.assert_allclose(found.text, text, atol=1e-6)
    np.testing.assert_allclose(found.mean, mean, atol=1e-6)
    assert found.weights == tuple(GRID)
    assert 0 <= found.weight <= 1


def test_a_vector_by_hand():
    """.6 × (1, 0) + .4 × (0, 1), length sqrt(.52); a missing part has no weight."""
    parts = ProductParts(np.array([[1, 0], [1, 0], [0, 0]]), np.array([[0, 1], [0, 0], [0, 1]]))
    expected = [[0.6 / 0.52**0.5, 0.4 / 0.52**0.5], [1, 0], [0, 1]]
    np.testing.assert_allclose(parts.vectors(0.6), expected, rtol=1e-6)
    np.testing.assert_allclose(parts.vectors(0.0), [[0, 1], [1, 0], [0, 1]])


def test_parts_that_cancel_leave_the_image():
    parts = ProductParts(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]))
    np.testing.assert_allclose(parts.vectors(0.5), [[1, 0]])


def test_the_query_is_not_in_the_vector_that_it_looks_for():
    """A product's two images share nothing, its text has a part of each: images find it by the text alone.

    At w = 1 the own product scores 0 as all others do: rank 6. With the query in the vector it would come first.
    """
    products = np.repeat(np.arange(6), 2)
    image = np.eye(12)
    predictions, items = make(
        [str(p) for p in products], products, image, np.repeat(image[::2] + image[1::2], 2, axis=0)
    )
    found = choose_image_weight(predictions, items, GRID)
    assert found.image[0] == 1.0
    assert found.image[-1] == pytest.approx(1 / 6)
    assert found.text == ()  # every class has one product
    assert found.weight < 0.5


def test_a_copy_of_an_image_is_that_image():
    """Each product has one image twice. As two images they would find each other at w = 1; as one they ask for
    their class, where the texts are right and the images wrong."""
    products = np.repeat(np.arange(8), 2)
    labels = products % 2
    image = np.eye(10)[products]
    text = np.eye(10)[8 + labels]
    predictions, items = make([str(p) for p in products], labels, image, text)
    found = choose_image_weight(predictions, items, GRID)
    one = choose_image_weight(
        *make([str(p) for p in range(8)], labels[::2], image[::2], text[::2]), GRID
    )
    assert found == one
    assert found.image[-1] < 0.6
    assert found.weight < 0.5


@pytest.mark.parametrize(("good", "low", "high"), [("image", 0.6, 1.0), ("text", 0.0, 0.4)])
def test_a_modality_that_says_nothing_gets_little_weight(good, low, high):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 4
    useful, noise = np.eye(8)[labels] + 0.1 * rng.normal(size=(40, 8)), rng.normal(size=(40, 8))
    image, text = (useful, noise) if good == "image" else (noise, useful)
    predictions, items = make([f"p{p}" for p in range(40)], labels, image, text)
    assert low <= choose_image_weight(predictions, items).weight <= high


def test_products_without_texts_or_without_images():
    """Then every weight is the same vector, and the mean of equal choices is one half."""
    products, labels = [f"p{p}" for p in range(8)], np.arange(8) % 2
    rows = np.random.default_rng(0).normal(size=(8, 4))
    for masks in ({"text_mask": np.zeros(8)}, {"image_mask": np.zeros(8)}):
        found = choose_image_weight(*make(products, labels, rows, rows, **masks))
        assert found.weight == pytest.approx(0.5)
        assert len(set(np.round(found.mean, 9))) == 1
        assert () in (found.image, found.text)


def test_nothing_to_find_is_one_half():
    """One product a class with one image each."""
    rows = np.eye(4)
    found = choose_image_weight(*make(list("abcd"), np.arange(4), rows, rows))
    assert (found.weight, found.mean) == (0.5, ())


def test_a_product_has_the_classes_of_all_its_items():
    """Product a has class 0 by one item and class 1 by the other, so b and c both find it."""
    labels = [(0,), (1,), (0,), (1,)]
    image = [[1, 0, 0.1], [0.9, 0.1, 0], [0.8, 0, 0.3], [0.7, 0.3, 0]]
    predictions, items = make(list("aabc"), labels, image, image, image_mask=[1, 0, 1, 1])
    predictions = Predictions(
        *(
            ModalityPredictions(each.embedding, np.zeros((4, 2), np.float32), each.mask)
            for each in (predictions.image, predictions.text)
        ),
        multi_label=True,
    )
    found = choose_image_weight(predictions, items, np.array([1.0]))
    # a finds b and c: 1. b and c find a alone, the nearer of the two others: 1.
    assert found.image == (pytest.approx(1.0),)


def test_queries_are_drawn_where_there_are_many(monkeypatch):
    predictions, items = random_catalogue(1)
    monkeypatch.setattr("huse_tf.evaluation.product_vectors._QUERIES", 10)
    some = choose_image_weight(predictions, items, GRID)
    assert some == choose_image_weight(predictions, items, GRID)
    assert some.mean != choose_image_weight(*random_catalogue(2), GRID).mean


def test_bagged_choice_by_hand():
    """One product: where it is drawn at all, the last choice wins; else all are equal, and count with .5."""
    values = np.array([[0.1, 0.2, 0.3]])
    share = np.exp(-1)
    expected = (1 - share) * 1.0 + share * 0.5
    assert bagged_choice(values, np.array([0, 0.5, 1])) == pytest.approx(expected, abs=0.06)
