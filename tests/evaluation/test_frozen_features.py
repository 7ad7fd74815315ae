"""Metrics of the frozen features, against slow implementations and by hand."""

import numpy as np
import pandas as pd
import pytest

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.comparison_table import Outcome
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.frozen_features import frozen_retrieval, nearest_neighbours
from huse_tf.evaluation.frozen_rows import frozen_rows
from huse_tf.evaluation.per_query import QueryMetrics
from huse_tf.sections import EvaluationConfig

TAXONOMY = Taxonomy(tuple((top, leaf) for top in "ab" for leaf in "xyz"))
CONFIG = EvaluationConfig(recall_at=(1, 3), precision_at=(3,), query_chunk=7)


def drawn(seed: int, count: int) -> dict[str, np.ndarray]:
    """Features of other lengths and sizes, as encoders give them; some items lack one."""
    rng = np.random.default_rng(seed)
    image, text = np.ones(count, np.float32), np.ones(count, np.float32)
    image[[1, 5]] = text[[2, 8]] = 0
    return {
        keys.IMAGE_FEATURES: np.float32(rng.normal(size=(count, 5)) * 7) * image[:, None],
        keys.TEXT_FEATURES: np.float32(rng.random(size=(count, 3)) * 0.1) * text[:, None],
        keys.IMAGE_MASK: image,
        keys.TEXT_MASK: text,
        keys.LABEL: np.int32(rng.integers(0, 6, count)),
    }


def table(count: int) -> pd.DataFrame:
    """Two items a product, with one text."""
    products = np.arange(count) // 2
    return pd.DataFrame({"product_id": [f"p{i}" for i in products], "text": products.astype(str)})


def context(items: pd.DataFrame) -> EvaluationContext:
    return EvaluationContext(items, TAXONOMY, CONFIG)


def cosine(one, other) -> float:
    return float(np.float64(one) @ other / np.linalg.norm(np.float64(one)) / np.linalg.norm(other))


def test_retrieval_is_by_cosine_within_each_modality():
    features, items = drawn(0, 24), table(24)
    metrics, queries = frozen_retrieval(features, context(items))
    assert {path.partition("/")[0] for path in metrics} == {"image_to_image", "text_to_text"}
    labels = features[keys.LABEL]
    for modality in (keys.IMAGE, keys.TEXT):
        vectors = features[keys.features(modality)]
        asked = np.flatnonzero(features[keys.mask(modality)]).tolist()
        if modality == keys.TEXT:  # the first item of each product stands for both
            asked = [row for row in asked if row % 2 == 0 or row - 1 not in asked]
        hits = []
        for row in asked:
            others = [other for other in asked if other // 2 != row // 2]
            if any(labels[other] == labels[row] for other in others):
                nearest = max(others, key=lambda other: cosine(vectors[row], vectors[other]))
                hits.append(labels[nearest] == labels[row])
        path = f"{modality}_to_{modality}/class/recall_at_1"
        assert metrics[path] == pytest.approx(np.mean(hits))
        assert queries[path].values.tolist() == hits
    for path, query in queries.items():
        assert query.values.mean() == pytest.approx(metrics[path]), path


def test_texts_without_a_known_word_are_alike_and_near_nothing():
    """Items 0 and 2 have zeros: each finds the other first; 4 and 6 find each other before these."""
    features = {key: rows[:8] for key, rows in drawn(0, 24).items()}
    features[keys.LABEL] = np.int32([0, 0, 0, 0, 1, 1, 1, 1])
    features[keys.TEXT_MASK] = np.ones(8, np.float32)
    features[keys.TEXT_FEATURES] = np.float32([[0, 0], [0, 0], [0, 0], [0, 0], *[[3, 4]] * 4])
    metrics, _ = frozen_retrieval(features, context(table(8)))
    assert metrics["text_to_text/class/queries"] == 4
    assert metrics["text_to_text/class/recall_at_1"] == 1


@pytest.mark.parametrize("other", [np.ones((24, 6), np.int32), np.ones((24, 4, 6), np.float32)])
def test_word_ids_and_patches_have_no_cosine(other):
    features, items = drawn(0, 24) | {keys.TEXT_FEATURES: other}, table(24)
    metrics, _ = frozen_retrieval(features, context(items))
    assert {path.partition("/")[0] for path in metrics} == {"image_to_image"}
    assert set(nearest_neighbours(features, features)) == {"classification/image/accuracy"}


def test_the_five_nearest_vote():
    """Of both modalities the cosines are added, and a missing one adds nothing; of ties the least class."""
    known, asked = drawn(1, 40), drawn(2, 12)
    found = nearest_neighbours(known, asked)
    for name, modalities in (
        ("image", ["image"]),
        ("text", ["text"]),
        ("fused", ["image", "text"]),
    ):
        rows, hits = found[f"classification/{name}/accuracy"]
        has = [[part[keys.mask(m)] > 0 for m in modalities] for part in (known, asked)]
        known_rows, asked_rows = (np.flatnonzero(np.any(each, axis=0)) for each in has)
        assert rows.tolist() == asked_rows.tolist()
        for row, hit in zip(rows, hits, strict=True):
            # A modality that only one of the two items lacks is at distance 1, one that both lack at 0.
            away = [
                sum(
                    float(np.sum((_unit(asked[keys.features(m)][row]) - _unit(each)) ** 2))
                    for m in modalities
                    for each in [known[keys.features(m)][other]]
                )
                for other in known_rows
            ]
            voters = known[keys.LABEL][known_rows[np.argsort(away)[:5]]]
            assert hit == (np.bincount(voters).argmax() == asked[keys.LABEL][row])


def _unit(vector):
    norm = np.linalg.norm(vector)
    return np.float64(vector) / norm if norm else np.float64(vector)


def test_items_of_several_classes_have_no_vote_but_retrieval():
    features = drawn(0, 24)
    features[keys.LABELS] = np.eye(6, dtype=np.float32)[features.pop(keys.LABEL)]
    assert nearest_neighbours(features, features) == {}
    one, _ = frozen_retrieval(features, context(table(24)))
    assert one == frozen_retrieval(drawn(0, 24), context(table(24)))[0]


def test_equal_features_make_one_row():
    def outcome(method, seed, value):
        paths = {"frozen_features/image_to_image/class/recall_at_1": value, "x": 9.0}
        paths["unseen/frozen_features/text_to_text/class/recall_at_1"] = value / 2
        queries = {path: QueryMetrics(np.array(["p"]), np.array([v])) for path, v in paths.items()}
        return Outcome(method, seed, paths, queries)

    outcomes = [outcome("a", 0, 0.5), outcome("b", 0, 0.5), outcome("a", 1, 0.25)]
    rows = frozen_rows(outcomes, {"a": "same", "b": "same"})
    assert [(row.method, row.seed) for row in rows] == [
        ("frozen features", 0),
        ("frozen features", 1),
    ]
    assert rows[0].metrics == {
        "image_to_image/class/recall_at_1": 0.5,
        "unseen/text_to_text/class/recall_at_1": 0.25,
    }
    assert rows[0].queries.keys() == rows[0].metrics.keys()
    named = [row.method for row in frozen_rows(outcomes, {"a": "one", "b": "other"})]
    assert named == ["frozen features of a", "frozen features of b", "frozen features of a"]
    assert frozen_rows([Outcome("pairs", 0, {"pairs/auc": 0.5}, {})], {"pairs": ""}) == []


@pytest.mark.parametrize("empty", ["known", "asked"])
def test_a_modality_without_training_or_test_items_has_no_neighbours(empty):
    items = {"known": drawn(0, 24), "asked": drawn(1, 24)}
    items[empty][keys.TEXT_FEATURES] = np.zeros((24, 3), np.float32)
    items[empty][keys.TEXT_MASK] = np.zeros(24, np.float32)
    found = nearest_neighbours(items["known"], items["asked"])
    assert set(found) == {"classification/image/accuracy", "classification/fused/accuracy"}
