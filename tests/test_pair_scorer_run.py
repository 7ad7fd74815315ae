"""A whole run of a pair scorer: from a catalogue to metrics, report and served probabilities."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from small_runs import change, rows, settings

from huse_tf import keys
from huse_tf.jobs import evaluate, train
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.training.loop import read_history


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    method = FashionBert.of(depth=1, hidden_dim=8, heads=2, initial_weights="random")
    config = change(
        settings(folder),
        image_encoder="patches:2:efficientnet_lite0@map",
        text_encoder="tokens:minilm:8",
        monitor=("pairs/accuracy", "pairs/auc"),
        epochs=2,
        warmup_steps=1,
        clip_norm=1.0,
    )
    config = type(config)(**{**vars(config), "method": method})
    return folder, train.train_run(config), config


def test_it_is_measured_by_pairs(run):
    _, result, _ = run
    assert 0 <= result.metrics["pairs/accuracy"] <= 1
    assert result.metrics["pairs/candidates"] == result.metrics["pairs/queries"]
    assert not any(name.startswith("classification") for name in result.metrics)
    assert "any class" in result.summary()


def test_weights_of_the_tasks_are_in_history_and_report(run):
    folder, result, _ = run
    for row in read_history(folder / "run"):
        weights = [
            row[f"weight/{name}"] for name in ("alignment", "masked_words", "masked_patches")
        ]
        assert sum(weights) == pytest.approx(1, abs=1e-5)
    page = result.report.read_text(encoding="utf-8")
    assert "Task weights" in page
    assert "Pairs of image and text" in page
    assert 'id="classification"' not in page


def test_it_is_measured_again_to_the_same_metrics(run):
    folder, result, config = run
    again = evaluate.evaluate_run(folder / "run", config)
    assert again.metrics == result.metrics


def test_the_export_answers_as_the_model(run):
    """The signature gives the model's probabilities. A row without text, and one with a broken image, say so."""
    folder, result, _ = run
    served = tf.saved_model.load(str(result.export)).signatures
    assert set(served) == {"match", "serving_default"}
    table = rows()[:3]
    files = [(folder / "shop" / row["image"]).read_bytes() for row in table]
    texts = ["chair word0", "sofa word1", "lamp word2"]
    found = served["match"](image_bytes=tf.constant(files), text=tf.constant(texts))["probability"]
    from huse_tf.features.registry import make_image_encoder, make_text_encoder
    from huse_tf.jobs.runs import trained_model

    model = trained_model(pathlib.Path(folder / "run"))
    logits = model(
        {
            keys.IMAGE_FEATURES: make_image_encoder("patches:2:efficientnet_lite0@map")(
                tf.constant(files)
            ),
            keys.TEXT_FEATURES: make_text_encoder("tokens:minilm:8")(tf.constant(texts)),
        }
    )[keys.MATCH_LOGITS]
    np.testing.assert_allclose(found, tf.sigmoid(logits), atol=1e-4)
    spoiled = served["match"](
        image_bytes=tf.constant([*files[:2], files[2][:-200]]),
        text=tf.constant([texts[0], " ", texts[2]]),
    )
    assert [status.decode() for status in spoiled["status"].numpy()] == [
        "",
        "Every row needs its image_bytes and its text.",
        "The image cannot be decoded: it is damaged or cut short.",
    ]
    np.testing.assert_allclose(spoiled["probability"], [found[0], 0, 0], atol=1e-6)
