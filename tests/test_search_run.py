"""A pair scorer for queries: it starts from one for texts, and is measured and served by query."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from small_runs import change, rows, settings

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.registry import make_image_encoder, make_text_encoder
from huse_tf.jobs import evaluate, train
from huse_tf.jobs.runs import trained_model
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.training.loop import read_history

# Two whole runs; tests/test_pair_scorer_run.py has one by default.
pytestmark = pytest.mark.slow

IMAGES, TEXTS = "patches:2:efficientnet_lite0@map", "tokens:minilm:12"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(folder, result, settings) of a run that starts from the weights of a first run."""
    folder = tmp_path_factory.mktemp("search")
    config = change(
        settings(folder),
        image_encoder=IMAGES,
        text_encoder=TEXTS,
        monitor=("pairs/accuracy", "pairs/auc"),
        epochs=1,
        clip_norm=1.0,
        field_dropout=0.2,
    )
    method = FashionBert.of(depth=1, hidden_dim=8, heads=2, initial_weights="random")
    first = dataclasses.replace(config, method=method)
    train.train_model(first)
    second = change(
        first,
        text_parts=2,
        text_separator="[SEP]",
        start_from=str(folder / "run"),
        learning_rate=1e-5,
        run_dir=str(folder / "search"),
    )
    return folder, train.train_run(second), second


def test_it_goes_on_from_the_run_without_queries(runs):
    """Though its texts are joined otherwise: the items are the same. Its few steps are small ones."""
    folder = runs[0]
    first, second = (trained_model(folder / name) for name in ("run", "search"))
    for layer in ("words", "segments", "text_position", "patch_projection", "pooler"):
        ours, theirs = (model.get_layer(layer).get_weights()[0] for model in (second, first))
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert 0 < np.abs(second.get_layer("query_segment").get_weights()[0]).max() < 1e-3


def test_it_is_measured_by_product_and_query(runs):
    folder, result, _ = runs
    assert 0 <= result.metrics["pairs/accuracy"] <= 1
    assert result.metrics["pairs/candidates"] == result.metrics["pairs/queries"]
    for task in ("query_to_product", "product_to_query"):
        assert 0 <= result.metrics[f"pairs/{task}/rank_at_5"] <= 1
    assert not any("image" in path or path.startswith("classification") for path in result.metrics)
    assert "Q>P @1" in result.summary()
    assert "pairs/auc" in read_history(folder / "search")[0]
    page = result.report.read_text(encoding="utf-8")
    assert "Pairs of product and query" in page
    assert "Query → product, rank@1" in page
    assert "Image → text" not in page


def test_it_is_measured_again_to_the_same_figures(runs):
    folder, result, config = runs
    assert evaluate.evaluate_run(folder / "search", config).metrics == result.metrics


def test_it_is_served_by_query_and_title(runs):
    folder, result, _ = runs
    served = tf.saved_model.load(str(result.export)).signatures["match"]
    files = [(folder / "shop" / row["image"]).read_bytes() for row in rows()[:3]]
    texts = ["red chair [SEP] Oak armchair", "sofa [SEP] word1", "lamp [SEP]"]
    found = served(image_bytes=tf.constant(files), text=tf.constant(texts))["probability"]
    features = {
        keys.IMAGE_FEATURES: make_image_encoder(IMAGES)(tf.constant(files)),
        keys.TEXT_FEATURES: make_text_encoder(TEXTS)(tf.constant(texts)),
    }
    logits = trained_model(pathlib.Path(folder / "search"))(features)[keys.MATCH_LOGITS]
    np.testing.assert_allclose(found, tf.sigmoid(logits), atol=1e-4)
    assert features[keys.TEXT_FEATURES].numpy()[0].tolist().count(102) == 2


def test_queries_need_the_separator(runs):
    folder, _, config = runs
    wrong = change(config, text_separator="|", run_dir=str(folder / "other"))
    with pytest.raises(UserError, match=r"--text_separator=\[SEP\].*Received: --text_separator=\|"):
        train.train_model(wrong)
    assert not (folder / "other").exists()
