"""Cross-validation: every item is tested once, and the table says what the folds say."""

import csv

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_runs import change, settings

from huse_tf import files
from huse_tf.errors import UserError
from huse_tf.jobs import compare, train
from huse_tf.jobs.folds import interval
from huse_tf.run_folder import RunFolder

ACCURACY = "classification/text/accuracy"


def test_an_interval_by_hand():
    """Five folds: t = 2.776 of four degrees of freedom, standard error sqrt(.025 / 5)."""
    values = [1.0, 1.1, 1.2, 1.3, 1.4]
    mean, low, high = interval(values)
    assert mean == pytest.approx(1.2)
    assert high - mean == pytest.approx(2.7764 * np.sqrt(0.025 / 5), abs=1e-4)
    assert mean - low == pytest.approx(high - mean)


def test_equal_folds_have_no_interval():
    assert interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_a_comparison_takes_one_fold(tmp_path):
    config = change(settings(tmp_path), folds=3)
    with pytest.raises(UserError, match=r"Expected --fold too"):
        compare.compare_methods({"huse": config}, [0], tmp_path / "out")


@pytest.mark.slow
def test_a_run_with_folds(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    config = change(settings(tmp_path), folds=3, refit="all")
    result = train.train_run(config)
    run = RunFolder(config.training.run_dir)
    folds = [run.fold(number) for number in (1, 2, 3)]

    tables = [pd.read_csv(fold.items) for fold in folds]
    tested = sum((table["split"] == "test").to_numpy().astype(int) for table in tables)
    assert tested.tolist() == [1] * 48

    found = files.read_json(run.folds)
    measured = [files.read_json(fold.metrics) for fold in folds]
    values = [each["test"][ACCURACY] for each in measured]
    assert found["metrics"][ACCURACY]["folds"] == values
    assert found["metrics"][ACCURACY]["mean"] == pytest.approx(np.mean(values))
    weights = [each["validation"]["classification/fusion_weight"] for each in measured]
    assert found["fusion_weight"] == pytest.approx(np.mean(weights))
    with open(run.folds_table, encoding="utf-8") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert float(rows[ACCURACY]["fold_2"]) == values[1]

    record = files.read_json(run.refit.trained_on)
    assert record["epochs"] == pytest.approx(found["epochs"])
    assert record["steps"] == round(6 * found["epochs"])
    card = files.read_json(result.export / "card.json")
    assert card["serving"]["fusion_weight"] == pytest.approx(found["fusion_weight"])
    chosen = [files.read_json(fold.serving) for fold in folds]
    assert found["serving"] == chosen
    shares = [each["product"]["weight"] for each in chosen]
    assert card["serving"]["product"]["image_weight"] == pytest.approx(np.mean(shares))
    logs = [np.log(each["temperatures"]["both"]) for each in chosen]
    assert card["serving"]["calibration"]["temperatures"]["both"] == pytest.approx(
        np.exp(np.mean(logs))
    )
    assert str(run.folds_table) in result.summary()
    assert "Cross-validation" in run.report.read_text(encoding="utf-8")

    before = [fold.model.stat().st_mtime_ns for fold in folds]
    again = train.train_run(config)
    assert [fold.model.stat().st_mtime_ns for fold in folds] == before
    assert again.metrics == pytest.approx(result.metrics)
