"""Accuracy and Rank@k of pairs, against loops and by hand."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.evaluation.pairs import (
    PairItems,
    measure_pair_scorer,
    pair_metrics,
    score_of_embeddings,
    score_of_model,
    scores_pairs,
)
from huse_tf.sections import EvaluationConfig

CONFIG = EvaluationConfig(recall_at=(1, 2, 5), pair_queries=1000, validation_pairs=4)


def metrics_of(score, count=12, config=CONFIG, threshold=None, quick=False, **changes):
    """Of `count` products in two classes, each with a text of its own."""
    known = {
        "products": np.arange(count),
        "labels": np.arange(count) % 2,
        "texts": [f"text {n}" for n in range(count)],
        "complete": np.ones(count, bool),
        **changes,
    }
    found = pair_metrics(score, PairItems(**known), config, threshold=threshold, quick=quick)
    for path, (items, values) in found.queries.items():
        assert len(items) == len(values) == len(set(items.tolist()))
        assert found.metrics[path] == pytest.approx(values.mean())
    return found.metrics, found.undefined


def perfect(images, texts):
    return np.where(images == texts, 2.0, -2.0)


def test_a_perfect_score():
    found, undefined = metrics_of(perfect, threshold=0.0)
    assert undefined == {}
    for prefix, candidates in (("pairs", 12), ("pairs/same_class", 6)):
        assert found[f"{prefix}/accuracy"] == found[f"{prefix}/auc"] == 1
        assert found[f"{prefix}/candidates"] == candidates
        assert found[f"{prefix}/queries"] == 12
        assert found[f"{prefix}/chance_rank_at_2"] == pytest.approx(2 / candidates)
        for task in ("image_to_text", "text_to_image"):
            assert found[f"{prefix}/{task}/rank_at_1"] == 1


def test_equal_scores_are_all_before_the_true_one():
    """Nothing is told apart: the true one is last of 6 or 12, and true and mismatched alike match."""
    found, _ = metrics_of(lambda images, texts: np.full(len(images), 0.3), threshold=0.0)
    assert found["pairs/accuracy"] == found["pairs/auc"] == 0.5
    assert found["pairs/image_to_text/rank_at_5"] == 0
    assert found["pairs/same_class/text_to_image/rank_at_5"] == 0


def test_differences_of_rounding_are_ties():
    noisy = np.random.default_rng(0).normal(0, 1e-7, 10_000)
    found, _ = metrics_of(lambda images, texts: 0.3 + noisy[: len(images)])
    assert found["pairs/image_to_text/rank_at_5"] == 0


def test_ranks_by_loops(rng):
    """With fewer products than 101 all others are candidates, so ranks need no draw."""
    table = rng.normal(size=(12, 12))
    found, _ = metrics_of(lambda images, texts: table[images, texts])
    for prefix, step in (("pairs", 1), ("pairs/same_class", 2)):
        for task, scores in (("image_to_text", table), ("text_to_image", table.T)):
            ranks = []
            for query in range(12):
                others = [o for o in range(12) if o != query and (o - query) % step == 0]
                ranks.append(1 + sum(scores[query, o] >= scores[query, query] for o in others))
            for k in (1, 2, 5):
                expected = np.mean(np.array(ranks) <= k)
                assert found[f"{prefix}/{task}/rank_at_{k}"] == pytest.approx(expected)
    assert "pairs/accuracy" not in found, "without a threshold there is none"


def test_there_are_101_candidates_of_other_products_and_texts():
    """150 products with two images each; 30 of them share one text, and are no wrong answers."""
    seen = []

    def score(images, texts):
        seen.append((images, texts))
        return perfect(images, texts)

    products = np.repeat(np.arange(150), 2)
    texts = np.where(products < 30, "the same", products.astype(str)).tolist()
    found, _ = metrics_of(
        score,
        products=products,
        labels=np.zeros(300, int),
        texts=texts,
        complete=np.ones(300, bool),
    )
    assert found["pairs/candidates"] == 101
    assert found["pairs/queries"] == 150
    assert found["pairs/chance_rank_at_5"] == pytest.approx(5 / 101)
    for images, others in seen:
        wrong = images != others
        assert (products[images] != products[others])[wrong].all()
        assert not ((products[images] < 30) & (products[others] < 30))[wrong].any()


def test_each_query_has_its_own_value():
    """Item 3 never matches, and neither does it with others: half of its two pairs are right, and it
    comes last wherever it is sought."""

    def score(images, texts):
        return np.where((images == texts) & (images != 3), 2.0, -2.0)

    items = PairItems(
        np.arange(12), np.arange(12) % 2, [f"text {n}" for n in range(12)], np.ones(12, bool)
    )
    found = pair_metrics(score, items, CONFIG, threshold=0.0)
    for prefix in ("pairs", "pairs/same_class"):
        assert f"{prefix}/auc" in found.queries
        for path, other in (("accuracy", 0.5), ("image_to_text/rank_at_1", 0.0)):
            items, values = found.queries[f"{prefix}/{path}"]
            assert dict(zip(items.tolist(), values.tolist(), strict=True)) == {
                item: other if item == 3 else 1.0 for item in range(12)
            }


def test_incomplete_items_are_left_out():
    complete = np.arange(12) < 8

    def score(images, texts):
        assert complete[images].all()
        assert complete[texts].all()
        return perfect(images, texts)

    found, _ = metrics_of(score, complete=complete)
    assert found["pairs/queries"] == 8


def test_undefined_metrics_have_reasons():
    found, undefined = metrics_of(perfect, labels=np.arange(12))
    assert set(undefined) == {"pairs/same_class"}
    assert found["pairs/image_to_text/rank_at_1"] == 1
    assert not any(name.startswith("pairs/same_class") for name in found)
    found, undefined = metrics_of(perfect, products=np.zeros(12, int))
    assert (found, set(undefined)) == ({}, {"pairs", "pairs/same_class"})


QUERY_END = 2


def search_items(queries, titles):
    """Features of items of one product each: a text is [CLS] query [SEP] title [SEP], the image its
    number from 0, and all are of one class."""
    count, length = len(queries), 8
    ids = np.zeros((count, length), np.int32)
    for row, query, title in zip(ids, queries, titles, strict=True):
        text = [1, *query, QUERY_END, *title, QUERY_END]
        row[: len(text)] = text
    return {
        keys.IMAGE_FEATURES: np.tile(np.arange(count, dtype=np.float32)[:, None, None], (1, 2, 3)),
        keys.TEXT_FEATURES: ids,
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
        keys.PRODUCT: np.arange(count),
        keys.LABEL: np.zeros(count, np.int32),
    }


class Reader(keras.layers.Layer):
    """Its logit is `judge` of (image's number, ids of the text)."""

    def __init__(self, judge):
        super().__init__()
        self.judge = judge

    def call(self, image, text):
        if isinstance(image, keras.KerasTensor):
            return keras.ops.sum(image, axis=(1, 2))
        return tf.numpy_function(self.logits, [image, text], tf.float32)

    def logits(self, image, text):
        pairs = zip(image[:, 0, 0], text.tolist(), strict=True)
        found = [self.judge(int(number), [id for id in ids if id]) for number, ids in pairs]
        return np.array(found, np.float32)

    def compute_output_spec(self, image, text):
        return keras.KerasTensor((None,))


def judged(judge, features, **settings):
    image = keras.Input((2, 3), name=keys.IMAGE_FEATURES)
    text = keras.Input((8,), name=keys.TEXT_FEATURES, dtype="int32")
    model = keras.Model(
        {i.name: i for i in (image, text)}, {keys.MATCH_LOGITS: Reader(judge)(image, text)}
    )
    items = pd.DataFrame({"text": ["one text"] * len(features[keys.PRODUCT])})
    found = measure_pair_scorer(model, features, items, CONFIG, query_end=QUERY_END, **settings)
    return found.metrics, found.undefined


# Five queries, of which the first two are one; an item without a query and one without a title.
QUERIES = [[10], [10], [11, 12], [13], [], [14, 15]]
TITLES = [[20], [21], [22, 23], [24], [25], []]


def test_queries_and_products_by_a_perfect_scorer():
    """It knows each image's query, and reads one product's title beside a query."""
    features = search_items(QUERIES, TITLES)
    read = []

    def judge(number, text):
        query = text[1 : text.index(QUERY_END)]
        read.append((number, query))
        assert text == [1, *query, QUERY_END, *TITLES[number], QUERY_END]
        return 1.0 if query == QUERIES[number] else -1.0

    found, undefined = judged(judge, features)
    assert undefined == {}
    for prefix in ("pairs", "pairs/same_class"):
        assert found[f"{prefix}/accuracy"] == found[f"{prefix}/auc"] == 1
        assert found[f"{prefix}/queries"] == 5
        # Items 0 and 1 have three others, the other three have four; and their own.
        assert found[f"{prefix}/candidates"] == pytest.approx((2 * 4 + 3 * 5) / 5)
        for task in ("query_to_product", "product_to_query"):
            assert found[f"{prefix}/{task}/rank_at_1"] == 1
    assert not any("image" in path for path in found)
    assert 4 not in {number for number, _ in read} and [] not in [query for _, query in read]


def test_queries_and_products_by_loops(rng):
    """A table of scores by image and query; ranks by sorting the products of other queries."""
    queries, count = [[10 + n // 2] for n in range(12)], 12
    table = rng.normal(size=(count, 6))
    features = search_items(queries, [[30 + n] for n in range(count)])
    found, _ = judged(lambda number, text: table[number, text[1] - 10], features)
    for task in ("query_to_product", "product_to_query"):
        ranks = []
        for own in range(count):
            others = [n for n in range(count) if n // 2 != own // 2]
            pairs = [(n, own // 2) if task == "query_to_product" else (own, n // 2) for n in others]
            ranks.append(1 + sum(table[pair] >= table[own, own // 2] for pair in pairs))
        for k in (1, 2, 5):
            assert found[f"pairs/{task}/rank_at_{k}"] == pytest.approx(
                np.mean(np.array(ranks) <= k)
            )


def test_queries_drawn_at_random_are_told_by_chance():
    draw = np.random.default_rng(0)
    features = search_items([[10 + n] for n in range(300)], [[400 + n] for n in range(300)])
    found, _ = judged(lambda number, text: draw.normal(), features)
    assert found["pairs/accuracy"] == pytest.approx(0.5, abs=0.1)
    assert found["pairs/query_to_product/rank_at_5"] == pytest.approx(5 / 101, abs=0.05)
    quick, _ = judged(lambda number, text: 1.0, features, quick=True)
    assert (quick["pairs/products"], quick["pairs/accuracy"], quick["pairs/auc"]) == (4, 0.5, 0.5)


def test_items_of_several_classes_are_alike_by_one():
    multi_hot = np.eye(4)[np.arange(12) % 4] + np.eye(4)[(np.arange(12) + 1) % 4]
    found, _ = metrics_of(perfect, labels=multi_hot)
    assert found["pairs/same_class/candidates"] == 9  # all but those two classes away


def test_draws_go_by_the_seed(rng):
    table = rng.normal(size=(300, 300))

    def metrics(seed):
        config = dataclasses.replace(CONFIG, pair_seed=seed)
        return metrics_of(lambda i, t: table[i, t], 300, config, threshold=0.0)[0]

    assert metrics(1) == metrics(1)
    assert metrics(1) != metrics(2)
    assert metrics(1)["pairs/image_to_text/rank_at_5"] == pytest.approx(5 / 101, abs=0.05)


def test_quick_is_accuracy_of_a_few():
    pairs = []

    def score(images, texts):
        pairs.append(len(images))
        return perfect(images, texts)

    found, _ = metrics_of(score, threshold=0.0, quick=True)
    assert set(found) == {
        f"pairs/{path}{name}"
        for path in ("", "same_class/")
        for name in ("accuracy", "auc", "products")
    }
    assert max(pairs) <= 8


def test_no_pair_is_scored_twice_for_one_task():
    def score(images, texts):
        assert len({*zip(images.tolist(), texts.tolist(), strict=True)}) == len(images)
        return perfect(images, texts)

    metrics_of(lambda i, t: score(i, t) if len(i) > 24 else perfect(i, t))


def test_cosines(rng):
    images, texts = (rng.normal(size=(5000, 3)) for _ in range(2))
    rows = rng.integers(0, 5000, (2, 9000))
    found = score_of_embeddings(images, texts)(*rows)
    np.testing.assert_allclose(found, np.sum(images[rows[0]] * texts[rows[1]], axis=1), atol=1e-5)


def test_a_model_scores_pairs_of_features(rng):
    """Its logit is the sum of an image's features less that of the text's; dropout is off."""
    image = keras.Input((2, 3), name=keys.IMAGE_FEATURES)
    text = keras.Input((4,), name=keys.TEXT_FEATURES, dtype="int32")
    logit = keras.layers.Dropout(0.5)(
        keras.ops.sum(image, axis=(1, 2)) - keras.ops.cast(keras.ops.sum(text, axis=1), "float32")
    )
    model = keras.Model({i.name: i for i in (image, text)}, {keys.MATCH_LOGITS: logit})
    assert scores_pairs(model)
    features = {
        keys.IMAGE_FEATURES: rng.normal(size=(600, 2, 3)).astype("f4"),
        keys.TEXT_FEATURES: rng.integers(0, 3, (600, 4), np.int32),
        keys.IMAGE_MASK: np.ones(600, np.float32),
        keys.TEXT_MASK: np.ones(600, np.float32),
        keys.PRODUCT: np.arange(600),
        keys.LABEL: np.zeros(600, np.int32),
    }
    images, texts = rng.integers(0, 600, (2, 600))
    expected = features[keys.IMAGE_FEATURES][images].sum(axis=(1, 2)) - features[
        keys.TEXT_FEATURES
    ][texts].sum(axis=1)
    found = score_of_model(model, features)(images, texts)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    items = pd.DataFrame({"text": [str(n) for n in range(600)]})
    metrics = measure_pair_scorer(model, features, items, CONFIG, quick=True).metrics
    assert metrics["pairs/products"] == 4
    assert 0 <= metrics["pairs/accuracy"] <= 1
