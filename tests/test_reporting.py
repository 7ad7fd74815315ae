"""From data and predictions to the report's plain data; predictions are made by hand."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import pytest
from small_runs import change

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.predictions import ModalityPredictions, Predictions
from huse_tf.jobs.measure import MeasuredSplit
from huse_tf.jobs.report_data import _card, make_report
from huse_tf.jobs.run_data import Dataset
from huse_tf.spec import DataSpec, FeatureSpec

TAXONOMY = Taxonomy((("home", "chairs"), ("home", "sofas"), ("lamps",)))
LABELS = np.array([0, 0, 1, 2, 2])
HISTORY = [
    {"epoch": 1, "classification/fused/accuracy": 0.5},
    {"epoch": 2, "classification/fused/accuracy": 0.9},
    {"epoch": 3, "classification/fused/accuracy": 0.9},
]
CONFIG = change(
    Config(),
    catalogue="somewhere/shop/items.csv",
    report_queries=8,
    monitor=("classification/fused/accuracy",),
)


def make_items(split=keys.TEST):
    return pd.DataFrame(
        {
            "product_id": ["a", "a", "b", "c", "d"],
            "image_path": [f"/images/{n}.png" for n in range(5)],
            "text": ["chair", "chair", "sofa", "lamp", "light"],
            "label": LABELS,
            "labels": [(label,) for label in LABELS],
            "split": split,
        }
    )


def make_dataset(items, train_only=()):
    rejected = pd.DataFrame(
        {"reason": ["no text", "image damaged: at byte 3", "image damaged: at byte 9"]}
    )
    spec = DataSpec(FeatureSpec((2,)), FeatureSpec((2,)), 3, np.zeros((3, 3), np.float32))
    return Dataset(items, {}, TAXONOMY, spec, 12, rejected, list(train_only))


def make_predictions():
    """Directions at 0, 10, 30, 90 and 100 degrees; images say the true class, texts always sofas."""
    angles = np.radians([0, 10, 30, 90, 100])
    embedding = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    right = np.eye(3)[LABELS] * 0.8 + 0.05
    sofas, everywhere = np.tile([0.1, 0.8, 0.1], (5, 1)), np.ones(5, bool)
    return Predictions(
        ModalityPredictions(embedding, right, everywhere),
        ModalityPredictions(embedding, sofas, everywhere),
    )


def changed(predictions, change_one):
    """The predictions with both modalities changed by `change_one`."""
    return dataclasses.replace(
        predictions, image=change_one(predictions.image), text=change_one(predictions.text)
    )


def rows_of(predictions, rows):
    """The predictions of the items in these rows."""

    def some(one):
        return ModalityPredictions(one.embedding[rows], one.probabilities[rows], one.mask[rows])

    return changed(predictions, some)


def report(config=CONFIG, weight=1.0, items=None, dataset=None, predictions=None):
    items = make_items() if items is None else items
    dataset = dataset or make_dataset(items)
    measured = MeasuredSplit(
        items["split"].iloc[0],
        EvaluationContext(items, dataset.taxonomy, config.evaluation, weight),
        {},
        {"classification/fusion_weight": weight},
        {"text_to_text/item": "why"},
        predictions or make_predictions(),
    )
    return make_report(config, dataset, measured, HISTORY, {"keras": "3"})


def test_probabilities_are_those_of_the_modalities_and_of_both():
    found = report().probabilities
    np.testing.assert_array_equal(found["image"].argmax(axis=1), LABELS)
    np.testing.assert_array_equal(found["text"].argmax(axis=1), 1)
    np.testing.assert_array_equal(found["fused"], found["image"])
    np.testing.assert_array_equal(report(weight=0.0).probabilities["fused"], found["text"])
    np.testing.assert_array_equal(report().labels, LABELS)


def test_classes_of_the_report_are_those_of_the_dataset():
    items = make_items()
    dataset = make_dataset(items)
    distances = np.float32([[0, 1, 2], [1, 0, 3], [2, 3, 0]])
    dataset = dataclasses.replace(
        dataset, spec=dataclasses.replace(dataset.spec, class_distances=distances)
    )
    np.testing.assert_array_equal(report(dataset=dataset).class_distances, distances)


def test_items_without_a_modality_are_on_no_map_and_no_card():
    """The first item has no text, the second no image: three are left to map."""
    one = make_predictions()
    image, text = np.arange(5) != 1, np.arange(5) != 0
    predictions = Predictions(
        *(
            ModalityPredictions(
                np.where(mask[:, None], each.embedding, np.nan),
                np.where(mask[:, None], each.probabilities, np.nan),
                mask,
            )
            for each, mask in ((one.image, image), (one.text, text))
        )
    )
    found = report(predictions=predictions)
    assert found.embedding_map.rows.tolist() == [2, 3, 4]
    assert found.embedding_map.total == 3
    queries = [example.query.image.name for example in found.examples["image_to_text"]]
    assert queries == ["0.png", "2.png", "3.png", "4.png"]
    assert not np.isnan(found.probabilities["fused"]).any()


def test_cards_name_all_classes_of_an_item():
    items = make_items().assign(labels=[(0, 2), (0,), (1,), (2,), (2, 1)])
    predictions = dataclasses.replace(make_predictions(), multi_label=True)
    found = report(items=items, predictions=predictions)
    assert found.labels.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]]
    assert found.examples["image_to_image"][0].query.labels == (0, 2)


def test_every_row_of_the_catalogue_is_counted():
    """Five items are measured of a dataset of eight; three entries of the twelve rows were rejected."""
    items = pd.concat([make_items(), make_items(keys.TRAIN).iloc[:3]], ignore_index=True)
    found = report(dataset=make_dataset(items))
    assert found.counts == {
        "Rows in the catalogue": 12,
        "Rejected entries": 3,
        "Products": 4,
        "Classes": 3,
        "Items, test": 5,
        "Items, train": 3,
    }
    assert found.rejected == {"image damaged": 2, "no text": 1}


def test_the_measured_epoch_is_the_first_of_the_best():
    """As in the training loop, where a later epoch must be better, not as good."""
    assert report().best_epoch == 2


def test_titles_and_names(tmp_path, monkeypatch):
    found = report()
    assert found.title == "huse on shop, test items"
    assert found.subtitle.startswith("items.csv, ")
    assert found.class_names == ("chairs", "sofas", "lamps")
    assert found.top_levels == ("home", "home", "lamps")
    monkeypatch.chdir(tmp_path)
    here = report(change(CONFIG, catalogue="items.csv"))
    assert here.title == f"huse on {tmp_path.name}, test items"
    assert report(items=make_items(keys.VALIDATION)).title.endswith("validation items")


def test_the_protocol_tells_how_the_items_came_to_be_held_out():
    both = pd.concat([make_items(), make_items(keys.TRAIN)], ignore_index=True)
    split = " ".join(report(dataset=make_dataset(both, train_only=[2])).protocol)
    assert "15% for validation, 15% for test, seed 0" in split
    assert "metrics of the test split" in split
    assert "too few separate products to hold any items out: lamps." in split
    assert "by classification/fused/accuracy" in split


def test_the_protocol_names_the_split_that_was_made():
    """By time or by a column nothing is drawn by a seed, and nothing is stratified."""
    time = " ".join(report(change(CONFIG, split_by="time", split_column="year")).protocol)
    assert "by the times in the column year" in time
    assert "the newest 15% for test, the 15% before them for validation" in time
    assert "in groups that share no product, title or image" in time
    by_series = " ".join(report(change(CONFIG, group_column="series")).protocol)
    assert "by groups that share no product, series, title or image" in by_series
    column = " ".join(report(change(CONFIG, split_by="column", split_column="part")).protocol)
    assert "The column part of the catalogue says which split an item belongs to" in column
    assert "seed" not in time + column and "stratified" not in time + column


def test_the_protocol_names_the_fold_and_the_model_that_is_exported():
    told = " ".join(report(change(CONFIG, folds=5, fold=2)).protocol)
    assert "5 folds" in told and "fold 2 for test" in told and "15% for test" not in told
    assert "exported model is trained again on all 5 items" in told
    assert "exported model" not in " ".join(report(change(CONFIG, refit="none")).protocol)


@pytest.mark.parametrize(
    ("known", "left_out", "sentence"),
    [
        ({}, 0, "All 5 items of this catalogue were measured. None shares an id"),
        (
            {"title": 2, "image": 1},
            3,
            "5 of 8 items of this catalogue were measured. Left out: 3",
        ),
        (
            {"title": 2},
            0,
            "All 5 items of this catalogue were measured, among them 2 that the run was",
        ),
    ],
)
def test_the_protocol_of_another_catalogue_tells_what_the_run_knew(known, left_out, sentence):
    items = pd.concat([make_items(), make_items(keys.KNOWN).iloc[:left_out]], ignore_index=True)
    dataset = dataclasses.replace(make_dataset(items), known=known)
    protocol = " ".join(report(dataset=dataset).protocol)
    assert sentence in protocol and "Items were split" not in protocol
    if known:
        assert "2 by title" in protocol


def test_settings_and_versions_are_those_given():
    found = report()
    assert found.settings["method"]["name"] == "huse"
    assert found.settings["data"]["catalogue"] == "somewhere/shop/items.csv"
    assert found.versions == {"keras": "3"}
    assert found.undefined == {"text_to_text/item": "why"}


def test_examples_show_the_nearest_other_products_first():
    """All are asked for, so queries stand in their order; texts of product a are one.

    The own product is told by its rank: a's second image comes first for its first; from 30 degrees
    the images of a are 20 and 30 away; from the lamp at 90 its like at 100 is nearer than anything but
    itself, across modalities too.
    """
    examples = report().examples
    assert {task: len(found) for task, found in examples.items()} == {
        "image_to_image": 5,
        "image_to_text": 5,
        "text_to_image": 4,
        "text_to_text": 4,
    }
    first = examples["image_to_image"][0]
    assert first.query.image.name == "0.png"
    assert first.query.score is None
    assert [card.image.name for card in first.results] == ["2.png", "3.png", "4.png"]
    np.testing.assert_allclose(
        [card.score for card in first.results], np.cos(np.radians([30, 90, 100])), atol=1e-6
    )
    assert [card.labels[0] for card in first.results] == [1, 2, 2]
    assert [example.own_rank for example in examples["image_to_image"]] == [1, 1, None, None, None]

    lamp = examples["text_to_text"][2]
    assert (lamp.query.text, lamp.query.image) == ("lamp", None)
    assert [card.text for card in lamp.results] == ["light", "sofa", "chair"]

    crossed = examples["text_to_image"][0]
    assert crossed.query.text == "chair"
    assert [card.image.name for card in crossed.results] == ["2.png", "3.png", "4.png"]
    assert crossed.own_rank == 1
    assert [card.text for card in examples["image_to_text"][4].results] == ["lamp", "sofa", "chair"]


def test_the_rank_of_the_own_product_is_behind_others_of_equal_score():
    """All at one point but d: b and c stand before a's second image, both images of a before b's own."""
    one = make_predictions()
    point = np.float32([[1, 0]] * 4 + [[0, 1]])
    predictions = changed(one, lambda each: dataclasses.replace(each, embedding=point))
    examples = report(predictions=predictions).examples
    assert [e.own_rank for e in examples["image_to_image"]] == [3, 3, None, None, None]
    assert [e.own_rank for e in examples["text_to_image"]] == [3, 4, 4, 1]
    assert [e.own_rank for e in examples["text_to_text"]] == [None] * 4


def test_no_more_than_six_results_and_the_queries_asked_for():
    count = 10
    items = pd.concat([make_items()] * 2, ignore_index=True)
    items["image_path"] = [f"/images/{n}.png" for n in range(count)]
    one = make_predictions()
    predictions = rows_of(one, np.tile(np.arange(5), 2))

    def found(seed):
        config = change(CONFIG, report_queries=2, seed=seed)
        return report(config, weight=0.5, items=items, predictions=predictions).examples

    assert {
        task: [len(example.results) for example in examples] for task, examples in found(0).items()
    } == {
        "image_to_image": [6, 6],
        "image_to_text": [3, 3],
        "text_to_image": [6, 6],
        "text_to_text": [3, 3],
    }
    assert found(0)["image_to_image"] == found(0)["image_to_image"]
    queries = {
        tuple(example.query.image.name for example in found(seed)["image_to_image"])
        for seed in range(5)
    }
    assert len(queries) > 1


@pytest.mark.parametrize(("count", "drawn"), [(2, False), (3, True)])
def test_two_items_are_too_few_for_a_map(count, drawn):
    items, predictions = make_items().iloc[:count], rows_of(make_predictions(), slice(count))
    found = report(weight=0.5, items=items, predictions=predictions)
    assert (found.embedding_map is not None) is drawn


def test_an_item_with_features_and_no_image_shows_its_text():
    """Precomputed features may come without images."""
    items = pd.DataFrame(
        {"image_path": ["", "a.png"], "text": ["one", "two"], "labels": [[0], [1]]}
    )
    cards = [_card(items, keys.IMAGE, row) for row in range(2)]
    assert [(card.image, card.text) for card in cards] == [
        (None, "one"), (pathlib.Path("a.png"), "two")
    ]  # fmt: skip
