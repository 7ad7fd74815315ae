"""Whole runs of DeViSE: from another run's weights, without texts, and on unseen classes."""

import dataclasses

import keras
import numpy as np
import pytest
from small_runs import change, rows, settings

from huse_tf import files, keys
from huse_tf.errors import UserError
from huse_tf.jobs import evaluate, train
from huse_tf.methods.devise import Devise


@pytest.fixture(autouse=True)
def keep_determinism_out(monkeypatch):
    """It holds for the whole process, so later tests would have it too."""
    monkeypatch.setattr("tensorflow.config.experimental.enable_op_determinism", lambda: None)


def devise(folder, table=None, **changes):
    config = dataclasses.replace(settings(folder, table), method=Devise())
    return change(config, class_encoder="random:16", **changes)


def test_a_run_starts_from_the_weights_of_another_on_the_same_split(tmp_path):
    """With a learning rate of 0 its weights stay those; its frozen label vectors are its own."""
    one = devise(tmp_path, epochs=1)
    train.train_model(one)
    two = change(
        one, run_dir=str(tmp_path / "two"), start_from=str(tmp_path / "run"), learning_rate=0.0
    )
    train.train_model(two)
    models = [keras.models.load_model(tmp_path / name / "model.keras") for name in ("run", "two")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    elsewhere = change(two, run_dir=str(tmp_path / "three"), split_seed=5)
    with pytest.raises(UserError, match=r"--start_from.*other items or another split"):
        train.train_model(elsewhere)
    nowhere = change(two, run_dir=str(tmp_path / "four"), start_from=str(tmp_path / "shop"))
    with pytest.raises(UserError, match="not trained to its end"):
        train.train_model(nowhere)


def test_images_only(tmp_path):
    """A catalogue without texts trains and measures the image modality."""
    table = [{**row, "name": "", "description": ""} for row in rows()]
    monitor = ("classification/image/accuracy",)
    np.savez(tmp_path / "texts.npz", ids=np.array(["-"]), features=np.ones((1, 4), np.float32))
    config = devise(tmp_path, table, monitor=monitor, epochs=20)
    config = change(config, text_encoder=f"precomputed:{tmp_path / 'texts.npz'}")
    train.train_model(config)
    figures = files.read_json(tmp_path / "run/metrics.json")[keys.VALIDATION]
    assert figures["classification/image/accuracy"] > 0.5
    assert not any(path.startswith("classification/text") for path in figures)


def test_unseen_classes_are_measured_under_both_protocols(tmp_path):
    table = rows()
    config = devise(tmp_path, table, unseen_classes=("lamps",))
    folder = train.train_model(config).run
    result = evaluate.evaluate_run(folder, config, split=keys.UNSEEN)
    assert result.metrics["zero_shot/unseen_only/candidates"] == 1
    assert result.metrics["zero_shot/all/candidates"] == 3
    assert 0 <= result.metrics["zero_shot/all/image/hit_at_1"] <= 1
    assert "Among all 3" in result.summary()
    held_out = evaluate.evaluate_run(folder, config, split=keys.TEST)
    assert not any(path.startswith("zero_shot") for path in held_out.metrics)


def test_a_method_that_cannot_name_unseen_classes_is_measured_among_all_classes(tmp_path):
    config = change(
        settings(tmp_path), unseen_classes=("lamps",), recall_at=(1,), precision_at=(1, 2)
    )
    folder = train.train_model(config).run
    result = evaluate.evaluate_run(folder, config, split=keys.UNSEEN)
    assert not any(path.startswith("zero_shot/unseen_only") for path in result.metrics)
    assert result.metrics["zero_shot/all/image/hit_at_1"] == 0
    assert "Among all 3" in result.summary()
    assert "unseen  " not in result.summary()
