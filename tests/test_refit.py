"""The exported model is trained again on all items; the metrics are those of the split."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_runs import change, settings

from huse_tf import files, keys
from huse_tf.errors import UserError
from huse_tf.jobs import export, run_data, train
from huse_tf.jobs.refit import plan_refit, with_all_items
from huse_tf.jobs.serving_choices import calibration_of, read_choices
from huse_tf.run_folder import RunFolder
from huse_tf.sections import TrainingConfig
from huse_tf.training.loop import read_history

TRAINING = TrainingConfig(batch_size=8, monitor=("merit",))
SENTENCE = "The exported model is trained again on all 48 items."


@pytest.fixture(autouse=True, scope="module")
def keep_determinism_out():
    """It cannot be turned off again and would break unseeded ops in other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(settings, result) of a run that was trained, measured, trained again and exported."""
    config = change(settings(tmp_path_factory.mktemp("refit")), refit="all")
    return config, train.train_run(config)


def rows(*merits, steps=3):
    return [{"epoch": n, "step": n * steps, "merit": m} for n, m in enumerate(merits, start=1)]


@pytest.mark.parametrize(
    ("merits", "now", "expected"),
    [
        ((0.5, 0.8, 0.7), 40, (2, 10)),  # 3 steps an epoch before, of 28 items; now 5
        ((0.5, 0.8, 0.8), 28, (2, 6)),  # the first of equal ones
        ((0.9,), 1000, (1, 125)),
    ],
)
def test_it_lasts_as_many_epochs(merits, now, expected):
    plan = plan_refit(rows(*merits), 28, now, TRAINING)
    assert (plan.epochs, plan.steps) == expected
    assert plan.items == now


def test_a_number_of_steps_grows_with_the_items():
    """7 of at most 7 steps, in the middle of epoch 3; of twice the items these are 14 or 15."""
    history = [*rows(0.1, 0.2), {"epoch": 3, "step": 7, "merit": 0.3}]
    training = dataclasses.replace(TRAINING, max_steps=7)
    plan = plan_refit(history, 24, 48, training)
    assert (plan.steps, plan.training.max_steps) == (14, 14)


def test_no_step_stays_no_step():
    assert plan_refit([{"epoch": 1, "step": 0, "merit": 0.3}], 28, 40, TRAINING).steps == 0


def test_all_items_train_but_those_of_unseen_classes(trained, tmp_path):
    config = change(trained[0], unseen_classes=("lamps",), run_dir=str(tmp_path / "run"))
    dataset = run_data.load_data(config, tmp_path / "run")
    merged = with_all_items(dataset)
    sizes = dataset.split_sizes
    assert sizes[keys.UNSEEN] == 16
    assert merged.split_sizes == {keys.TRAIN: 32, keys.UNSEEN: 16}
    labels = merged.features_of(keys.TRAIN)[keys.LABEL]
    counts = np.bincount(labels, minlength=3) / 32
    np.testing.assert_allclose(merged.spec.class_shares, counts)
    assert dataset.split_sizes == sizes


def test_the_run_keeps_both_models(trained):
    config, result = trained
    run = RunFolder(config.training.run_dir)
    assert {path.name for path in run.refit.path.iterdir()} == {
        *("checkpoints", "history.jsonl", "timing.json", "tensorboard", "model.keras"),
        *("trained_on.json", "digests.json"),
    }
    measured, again = (keras.models.load_model(each.model) for each in (run, run.refit))
    assert any(
        np.abs(a - b).max() > 1e-3
        for a, b in zip(measured.get_weights(), again.get_weights(), strict=True)
    )
    record = files.read_json(run.refit.trained_on)
    best = max(
        read_history(run), key=lambda row: np.mean([row[m] for m in config.training.monitor])
    )
    assert record == {"items": 48, "epochs": best["epoch"], "steps": 6 * best["epoch"]}
    card = files.read_json(result.export / "card.json")
    assert card["refit"] == record
    assert card["model_sha256"] == files.sha256_file(run.refit.model)
    assert card["metrics"] == files.read_json(run.metrics)["test"]


def test_it_inherits_what_validation_chose(trained):
    """Its own items cannot choose: it was trained on them."""
    config, result = trained
    run = RunFolder(config.training.run_dir)
    chosen = read_choices(run)
    card = files.read_json(result.export / "card.json")["serving"]
    assert card["calibration"] == dataclasses.asdict(calibration_of([chosen], 0.95))
    assert card["product"] == {"image_weight": chosen.product.weight}
    test = files.read_json(run.metrics)["test"]
    assert test["calibration/both/temperature"] == chosen.temperatures["both"]
    assert "Calibration and product vectors" in run.report.read_text(encoding="utf-8")
    other = export.exported_run(run, "all", 0.5).calibration
    assert other == calibration_of([chosen], 0.5)
    assert other.target_precision == 0.5


def test_a_run_that_has_chosen_nothing_is_exported(trained, tmp_path):
    shutil.copytree(trained[0].training.run_dir, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    run.serving.unlink()
    old = export.exported_run(run)
    assert (old.calibration, old.product.image_weight) == (None, 0.5)


def test_readers_are_told(trained):
    config, result = trained
    assert SENTENCE in result.summary()
    assert SENTENCE in RunFolder(config.training.run_dir).report.read_text(encoding="utf-8")


def test_the_measured_model_is_exported_on_request(trained, tmp_path):
    config, _ = trained
    run = RunFolder(config.training.run_dir)
    where = dataclasses.replace(config.export, refit="none", export_dir=str(tmp_path))
    card = files.read_json(export.export_run(run, where) / "card.json")
    assert card["refit"] is None
    assert card["model_sha256"] == files.sha256_file(run.model)


def test_a_run_that_is_finished_is_not_trained_again(trained, tmp_path):
    """One that was killed before the end goes on, to the same weights."""
    config, _ = trained
    shutil.copytree(config.training.run_dir, tmp_path / "run")
    config = change(config, run_dir=str(tmp_path / "run"), export_dir=str(tmp_path / "exported"))
    again = RunFolder(tmp_path / "run").refit
    expected = keras.models.load_model(again.model).get_weights()
    dataset = run_data.load_data(config, tmp_path / "run")
    before = again.model.stat().st_mtime_ns
    train.train_again(config, dataset, RunFolder(tmp_path / "run"))
    assert again.model.stat().st_mtime_ns == before

    again.trained_on.unlink()
    again.model.unlink()
    newest = max(again.checkpoints.iterdir(), key=lambda path: int(path.name.partition("-")[2]))
    shutil.rmtree(newest)
    if not list(again.checkpoints.iterdir()):  # one epoch was best
        shutil.rmtree(again.path)
    where = dataclasses.replace(config.export, refit="all")
    with pytest.raises(UserError, match=r"no model that was trained again.*--refit=none"):
        export.export_run(tmp_path / "run", where)
    train.train_again(config, dataset, RunFolder(tmp_path / "run"))
    found = keras.models.load_model(again.model).get_weights()
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_model_is_named(trained, tmp_path):
    config, _ = trained
    shutil.copytree(config.training.run_dir, tmp_path / "run")
    model = tmp_path / "run" / "refit" / "model.keras"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"refit/model.keras.*delete the folder .*refit'"):
        export.export_run(tmp_path / "run", config.export)
