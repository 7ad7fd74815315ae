"""Accuracy and Rank@k of pairs, against loops and by hand."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.config import EvaluationConfig
from huse_tf.evaluation.pairs import (
    measure_pair_scorer,
    pair_metrics,
    score_of_embeddings,
    score_of_model,
    scores_pairs,
)

CONFIG = EvaluationConfig(recall_at=(1, 2, 5), pair_queries=1000, validation_pairs=4)


def figures(score, count=12, config=CONFIG, **changes):
    """Of `count` products in two classes, each with a text of its own."""
    known = {
        "products": np.arange(count),
        "labels": np.arange(count) % 2,
        "texts": [f"text {n}" for n in range(count)],
        "complete": np.ones(count, bool),
        **changes,
    }
    return pair_metrics(score, config=config, **known)


def perfect(images, texts):
    return np.where(images == texts, 2.0, -2.0)


def test_a_perfect_score():
    found, undefined = figures(perfect, threshold=0.0)
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
    found, _ = figures(lambda images, texts: np.full(len(images), 0.3), threshold=0.0)
    assert found["pairs/accuracy"] == found["pairs/auc"] == 0.5
    assert found["pairs/image_to_text/rank_at_5"] == 0
    assert found["pairs/same_class/text_to_image/rank_at_5"] == 0


def test_differences_of_rounding_are_ties():
    noisy = np.random.default_rng(0).normal(0, 1e-7, 10_000)
    found, _ = figures(lambda images, texts: 0.3 + noisy[: len(images)])
    assert found["pairs/image_to_text/rank_at_5"] == 0


def test_ranks_by_loops(rng):
    """With fewer products than 101 all others are candidates, so ranks need no draw."""
    table = rng.normal(size=(12, 12))
    found, _ = figures(lambda images, texts: table[images, texts])
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
    """150 products with two pictures each; 30 of them share one text, and are no wrong answers."""
    seen = []

    def score(images, texts):
        seen.append((images, texts))
        return perfect(images, texts)

    products = np.repeat(np.arange(150), 2)
    texts = np.where(products < 30, "the same", products.astype(str)).tolist()
    found, _ = figures(
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


def test_incomplete_items_are_left_out():
    complete = np.arange(12) < 8

    def score(images, texts):
        assert complete[images].all()
        assert complete[texts].all()
        return perfect(images, texts)

    found, _ = figures(score, complete=complete)
    assert found["pairs/queries"] == 8


def test_what_cannot_be_told_is_said():
    found, undefined = figures(perfect, labels=np.arange(12))
    assert set(undefined) == {"pairs/same_class"}
    assert found["pairs/image_to_text/rank_at_1"] == 1
    assert not any(name.startswith("pairs/same_class") for name in found)
    found, undefined = figures(perfect, products=np.zeros(12, int))
    assert (found, set(undefined)) == ({}, {"pairs", "pairs/same_class"})


def test_items_of_several_classes_are_alike_by_one():
    multi_hot = np.eye(4)[np.arange(12) % 4] + np.eye(4)[(np.arange(12) + 1) % 4]
    found, _ = figures(perfect, labels=multi_hot)
    assert found["pairs/same_class/candidates"] == 9  # all but those two classes away


def test_draws_go_by_the_seed(rng):
    table = rng.normal(size=(300, 300))

    def metrics(seed):
        config = dataclasses.replace(CONFIG, pair_seed=seed)
        return figures(lambda i, t: table[i, t], 300, config, threshold=0.0)[0]

    assert metrics(1) == metrics(1)
    assert metrics(1) != metrics(2)
    assert metrics(1)["pairs/image_to_text/rank_at_5"] == pytest.approx(5 / 101, abs=0.05)


def test_quick_is_accuracy_of_a_few():
    pairs = []

    def score(images, texts):
        pairs.append(len(images))
        return perfect(images, texts)

    found, _ = figures(score, threshold=0.0, quick=True)
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

    figures(lambda i, t: score(i, t) if len(i) > 24 else perfect(i, t))


def test_cosines(rng):
    images, texts = (rng.normal(size=(5000, 3)) for _ in range(2))
    rows = rng.integers(0, 5000, (2, 9000))
    found = score_of_embeddings(images, texts)(*rows)
    np.testing.assert_allclose(found, np.sum(images[rows[0]] * texts[rows[1]], axis=1), atol=1e-5)


def test_a_model_scores_pairs_of_features(rng):
    """Its logit is the sum of a picture's features less that of the text's; dropout is off."""
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
    metrics, _ = measure_pair_scorer(model, features, items, CONFIG, quick=True)
    assert metrics["pairs/products"] == 4
    assert 0 <= metrics["pairs/accuracy"] <= 1
