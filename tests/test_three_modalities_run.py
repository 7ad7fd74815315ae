"""Text columns as modalities of a fusion head, from the flags to the served model."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from small_runs import change, rows, settings, write_catalogue

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs import evaluate, train
from huse_tf.jobs.runs import trained_model
from huse_tf.methods.modality_weights import ModalityWeights
from huse_tf.run_folder import RunFolder
from huse_tf.training.loop import read_history

# A whole run; tests/methods and tests/heads ask by default for what is particular to it.
pytestmark = pytest.mark.slow

SHOWN = ("image", "name", "description")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, result, settings) of a run in which most items have no description."""
    folder = tmp_path_factory.mktemp("modalities")
    config = change(
        settings(folder), text_encoder="fields:2:tfidf", text_separator="[SEP]", field_dropout=0.2
    )
    sizes = {"embedding_dim": 8, "image_layers": (16,), "text_layers": (16,)}
    config = dataclasses.replace(config, method=ModalityWeights.of(**sizes))
    return folder, train.train_run(config), config


def test_each_column_has_a_contribution_by_name(run):
    folder, result, _ = run
    for figures in (result.metrics, *read_history(folder / "run")):
        shares = [figures[f"contribution/{name}"] for name in SHOWN]
        assert sum(shares) == pytest.approx(1, abs=1e-5) and min(shares) > 0
    assert "contribution/text" not in result.metrics
    page = result.report.read_text(encoding="utf-8")
    assert 'aria-label="contribution: image 0.' in page and "description 0." in page


def test_it_is_measured_again_to_the_same_metrics(run):
    folder, result, config = run
    assert evaluate.evaluate_run(folder / "run", config).metrics == result.metrics


def test_it_is_served_from_joined_texts(run):
    """With features of images, because the image features of this run have no encoder."""
    folder, result, config = run
    images = np.load(folder / "shop" / "features.npz")["features"][:3]
    texts = ["chair word0 [SEP] four legs", "lamp word2", "[SEP] four legs"]
    signatures = tf.saved_model.load(str(result.export)).signatures
    served = signatures["classify"]
    found = served(image_features=tf.constant(images), text=tf.constant(texts))["scores"]
    encoder = ItemEncoders.of_run(config.features, RunFolder(folder / "run")).text
    features = {
        keys.IMAGE_FEATURES: tf.constant(images),
        keys.TEXT_FEATURES: encoder(tf.constant(texts)),
    }
    outputs = trained_model(folder / "run")(features)
    expected = np.sort(tf.nn.softmax(outputs[keys.FUSED_LOGITS]), axis=1)[:, ::-1]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    nothing = served(image_features=tf.constant(images), text=tf.constant(["", " ", " [SEP] "]))
    expected = np.sort(tf.nn.softmax(outputs[keys.IMAGE_LOGITS]), axis=1)[:, ::-1]
    np.testing.assert_allclose(nothing["scores"], expected, atol=1e-5)
    status = signatures["embed_text"](text=tf.constant([" [SEP] "]))["status"]
    assert status.numpy().tolist() == [b"Every row needs its text."]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"text_separator": ""},
            r"Expected --text_separator=\[SEP\].*Received: --text_separator=\.",
        ),
        (
            {"text_encoder": "fields:3:tfidf"},
            r"Received: --text_encoder=fields:3:tfidf with --text_col",
        ),
        ({"text_columns": ("name",)}, "counts the text columns"),
    ],
)
def test_settings_must_fit_each_other(run, changes, message):
    folder, _, config = run
    wrong = change(config, run_dir=str(folder / "other"), **changes)
    with pytest.raises(UserError, match=message):
        train.train_model(wrong)
    assert not (folder / "other").exists()


def test_a_run_is_measured_with_its_own_text_separator(run):
    """Otherwise the text encoder would be fitted to other texts, and metrics and exports would be wrong."""
    folder, _, config = run
    before = (folder / "run" / "text_encoder.json").read_bytes()
    wrong = change(config, text_separator="")
    with pytest.raises(UserError, match=r"Expected --text_separator=\[SEP\]\. Received"):
        evaluate.evaluate_run(folder / "run", wrong)
    assert (folder / "run" / "text_encoder.json").read_bytes() == before


def test_no_column_may_be_missing(run, tmp_path):
    """Otherwise another column would take its place and go through its tower."""
    folder, _, config = run
    table = [{k: v for k, v in row.items() if k != "description"} for row in rows()]
    data = write_catalogue(tmp_path / "shop", table)
    other = change(config, catalogue=data.catalogue, run_dir=str(tmp_path / "run"))
    match = "Expected the columns name, description; cells may be empty.*Received a catalogue with: name"
    with pytest.raises(UserError, match=match):
        train.train_model(other)
    with pytest.raises(UserError, match=match):
        evaluate.evaluate_run(folder / "run", other, other_catalogue=True, output=tmp_path / "out")
