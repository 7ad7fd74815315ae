import dataclasses

import numpy as np
import pandas as pd
import pytest

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.measure import measure
from huse_tf.evaluation.per_query import per_query
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.sections import EvaluationConfig

# Rings of 2, 6 and 12 classes: the set of 5 has 6.
TAXONOMY = Taxonomy(tuple((top, middle, leaf) for top in "ab" for middle in "pqr" for leaf in "xy"))
CONFIG = EvaluationConfig(recall_at=(1, 3), precision_at=(5,), query_chunk=7)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def shares(rows):
    return (np.abs(rows) / np.abs(rows).sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def measured(rng):
    """24 items of 12 products, some without image or text; products 0 and 3, 6 and 9 share a class."""
    count = 24
    image, text = np.ones(count, bool), np.ones(count, bool)
    image[[1, 5]] = text[[7, 8, 20]] = False
    labels = np.arange(count) % 12
    labels = np.where(labels % 3 == 0, labels // 6 * 6, labels)
    items = pd.DataFrame(
        {
            "product_id": [f"p{i % 12}" for i in range(count)],
            "text": [f"text {i % 12 if i < 20 else i}" for i in range(count)],
            "label": labels,
            "labels": [(int(label),) for label in labels],
        }
    )
    draw = lambda size: rng.normal(size=(count, size))  # noqa: E731
    predictions = Predictions(
        ModalityPredictions(unit(draw(4)), shares(draw(12)), image),
        ModalityPredictions(unit(draw(4)), shares(draw(12)), text),
    )
    return predictions, items


@pytest.mark.parametrize("multi_label", [False, True])
def test_means_over_queries_are_the_metrics(measured, multi_label):
    predictions, items = measured
    predictions = dataclasses.replace(predictions, multi_label=multi_label)
    config = dataclasses.replace(CONFIG, with_own_product=True)
    context = EvaluationContext(items, TAXONOMY, config, 0.3)
    metrics, _ = measure(predictions, context)
    queries = per_query(predictions, context)
    for path, query in queries.items():
        assert query.values.mean() == pytest.approx(metrics[path], abs=1e-9), path
        assert len(query.products) == len(query.values)
    hits = "hit_at_1" if multi_label else "accuracy"
    for path in (
        f"classification/fused/{hits}",
        "image_to_text/class/mean_average_precision",
        "text_to_image/item/recall_at_3",
        "image_to_image/hierarchical_precision_at_5",
        "text_to_text/with_own_product/class/recall_at_1",
        "text_to_text/with_own_product/hierarchical_precision_at_5",
        "classification/image/hit_at_5",
        "classification/text/hierarchical_precision_at_5",
        "pairs/text_to_image/rank_at_1",
    ):
        assert path in queries


def test_of_unseen_classes_too(measured):
    predictions, items = measured
    seen = np.arange(12) % 3 > 0
    unseen = items["label"].isin(np.flatnonzero(~seen)).to_numpy()
    parts = {
        name: ModalityPredictions(
            one.embedding[unseen], one.probabilities[unseen], one.mask[unseen]
        )
        for name, one in (("image", predictions.image), ("text", predictions.text))
    }
    predictions, items = dataclasses.replace(predictions, **parts), items[unseen]
    context = EvaluationContext(items, TAXONOMY, CONFIG, 0.3, seen)
    metrics, _ = measure(predictions, context)
    queries = per_query(predictions, context)
    for path, query in queries.items():
        assert query.values.mean() == pytest.approx(metrics[path], abs=1e-9), path
    path = "zero_shot/unseen_only/text/hit_at_1"
    has_text = predictions.text.mask
    assert queries[path].products.tolist() == items["product_id"][has_text].tolist()
    assert not any(
        path.startswith("zero_shot")
        for path in per_query(predictions, EvaluationContext(items, TAXONOMY, CONFIG, 0.3))
    )


def test_each_query_has_its_own_product(measured):
    """A query keeps its values, whatever the order of the items."""
    predictions, items = measured
    before = per_query(predictions, EvaluationContext(items, TAXONOMY, CONFIG, 0.3))
    path = "classification/image/accuracy"
    labels = items["label"].to_numpy()
    right = predictions.image.probabilities.argmax(axis=1) == labels
    has_image = predictions.image.mask
    assert before[path].products.tolist() == items["product_id"][has_image].tolist()
    assert before[path].values.tolist() == right[has_image].astype(float).tolist()
    path = "image_to_text/item/recall_at_1"
    assert set(before[path].products) <= set(items["product_id"][has_image])


def test_undefined_metrics_are_left_out(measured):
    predictions, items = measured
    imageless = dataclasses.replace(
        predictions, image=dataclasses.replace(predictions.image, mask=np.zeros(24, bool))
    )
    queries = per_query(imageless, EvaluationContext(items, TAXONOMY, CONFIG, 0.3))
    assert "classification/image/accuracy" not in queries
    assert {path.partition("/")[0] for path in queries} == {"classification", "text_to_text"}
    assert not any(path.startswith("classification/image") for path in queries)
