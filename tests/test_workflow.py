"""The whole job on a catalogue of tiny images; what takes long is in test_end_to_end.py."""

import dataclasses
import json
import re
import shutil

import keras
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from small_runs import CLASSES, change, flagfile, rows, settings

from huse_tf import config as configs
from huse_tf import files, keys, seals
from huse_tf.errors import UserError
from huse_tf.jobs import evaluate, export, run_data, train
from huse_tf.jobs.runs import open_run
from huse_tf.settings import flat
from huse_tf.training.loop import read_history
from huse_tf.training.monitor import monitored

LOG_LINE = r"\d\d:\d\d:\d\d  \S.*"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder, settings, finished process) of one `python -m huse_tf.train`. Tests must not change it."""
    folder = tmp_path_factory.mktemp("trained")
    config = settings(folder)
    return folder, config, small_runs.run("train", flagfile(config, folder), folder=folder)


@pytest.fixture
def copied(trained, tmp_path):
    """(folder, settings) of a copy of the run, which a test may change."""
    folder, config, _ = trained
    shutil.copytree(folder / "run", tmp_path / "run")
    return tmp_path / "run", change(
        config, run_dir=str(tmp_path / "run"), export_dir=str(tmp_path / "exported")
    )


@pytest.fixture(autouse=True)
def keep_determinism_out(monkeypatch):
    """It cannot be turned off again and would break unseeded ops in other tests."""
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)


def metrics_of(folder):
    return files.read_json(folder / "metrics.json")


def of_the_model(figures):
    """The metrics without those of frozen features, calibration and smaller vectors, which are only measured at the end."""
    return {
        path: value
        for path, value in figures.items()
        if not path.startswith(("frozen_features/", "calibration/", "smaller_vectors/"))
    }


def test_training_succeeds_and_prints_its_result(trained):
    folder, _, done = trained
    assert done.returncode == 0, done.stderr
    for line in ("accuracy", "macroF1", "fused", "image to text", "text to image", "Served  not"):
        assert line in done.stdout
    figures = metrics_of(folder / "run")["test"]
    assert f"{figures['classification/fused/accuracy']:8.3f}" in done.stdout
    assert f"{figures['image_to_text/class/mean_average_precision']:8.3f}" in done.stdout
    assert str(folder / "run/report.html") in done.stdout
    assert str(folder / "exported/run/1") in done.stdout


def test_stderr_holds_log_lines_only(trained):
    lines = trained[2].stderr.splitlines()
    assert [line for line in lines if not re.fullmatch(LOG_LINE, line)] == []
    assert any("48 items of 24 products in 3 classes" in line for line in lines)


def test_a_run_folder_holds_the_files_that_the_architecture_names(trained):
    run = trained[0] / "run"
    expected = {
        *("config.json", "flags.txt", "versions.json", "data.json", "items.csv", "rejected.csv"),
        *("taxonomy.json", "class_distances.npy", "text_encoder.json", "checkpoints"),
        *("history.jsonl", "timing.json", "tensorboard", "model.keras", "metrics.json"),
        *("report.html", "serving.json", "digests.json", ".lock"),
    }
    assert {path.name for path in run.iterdir()} == expected


def test_the_run_keeps_its_settings(trained):
    folder, config, _ = trained
    assert configs.load(folder / "run") == config
    assert (folder / "run/flags.txt").read_text() == config.to_flagfile()
    assert files.read_json(folder / "run/versions.json")["keras"] == keras.__version__


def test_figures_of_both_held_out_sides_are_kept(trained):
    figures = metrics_of(trained[0] / "run")
    assert set(figures) == {"validation", "test", "undefined", "slices"}
    assert of_the_model(figures["test"]).keys() == figures["validation"].keys()
    weight = "classification/fusion_weight"
    assert figures["test"][weight] == figures["validation"][weight]
    history = read_history(trained[0] / "run")
    best = max(history, key=lambda row: monitored(row, trained[1].training.monitor))
    for name, value in figures["validation"].items():
        # The final weight is tuned by bagging. Hierarchical precision was not monitored.
        assert (name in best) == ("hierarchical_precision" not in name)
        if name in best and "/fus" not in name:
            assert best[name] == pytest.approx(value, abs=1e-6), name
    assert 0 <= figures["validation"][weight] <= 1
    assert set(figures["undefined"]) >= {
        "hierarchical_precision_at_5",
        "hierarchical_precision_at_10",
    }


def test_test_figures_are_those_of_the_saved_model_on_the_test_items(trained):
    """Accuracy by hand, from `model.keras` and the features of the test items."""
    folder, config, _ = trained
    dataset = run_data.load_data(config, folder / "run")
    model = keras.models.load_model(folder / "run/model.keras")
    _, features = dataset.split(keys.TEST)
    outputs = model({k: features[k] for k in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)})
    figures = metrics_of(folder / "run")["test"]
    for modality, logits in (("image", keys.IMAGE_LOGITS), ("text", keys.TEXT_LOGITS)):
        hits = np.argmax(outputs[logits], axis=1) == features[keys.LABEL]
        assert figures[f"classification/{modality}/accuracy"] == pytest.approx(hits.mean())


def test_the_report_holds_the_numbers(trained):
    folder = trained[0] / "run"
    page = (folder / "report.html").read_text(encoding="utf-8")
    figures = metrics_of(folder)["test"]
    for name in ("classification/image/macro_f1", "text_to_image/class/mean_average_precision"):
        assert f"{figures[name]:.3f}" in page
    assert "Rows in the catalogue" in page
    assert "huse on shop, test items" in page


def test_the_export_answers(trained):
    """Precomputed images: image features come in, texts are encoded inside."""
    folder, config, _ = trained
    served = tf.saved_model.load(str(folder / "exported/run/1"))
    dataset = run_data.load_data(config, folder / "run")
    model = keras.models.load_model(folder / "run/model.keras")
    features = {k: dataset.features[k][:3] for k in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}
    answer = served.signatures["embed_text"](text=tf.constant(dataset.items["text"].tolist()[:3]))
    np.testing.assert_allclose(
        answer["text_embedding"], model(features)[keys.TEXT_EMBEDDING], atol=1e-5
    )
    card = files.read_json(folder / "exported/run/1/card.json")
    assert card["metrics"] == metrics_of(folder / "run")["test"]
    assert card["config"] == json.loads(config.to_json())
    assert card["slices"] == metrics_of(folder / "run")["slices"]["test"]
    assert card["slices"][0]["items"] == dataset.split_sizes["test"]
    assert set(card["intervals"]) == {
        path for path in of_the_model(card["metrics"]) if "/item/recall_at_" in path
    }
    licences = card["serving"]["licenses"]
    assert licences["data"] == "not stated"
    assert [each["of"] for each in licences["weights"]] == [
        f"{folder / 'shop' / 'features.npz'}: precomputed features"
    ]


def test_a_finished_run_is_measured_again_but_neither_trained_nor_exported(copied):
    run, config = copied
    before = (run / "model.keras").stat().st_mtime_ns, (run / "history.jsonl").read_bytes()
    figures = metrics_of(run)
    for _ in range(2):
        result = train.train_run(config)
        assert result.export == run.parent / "exported" / "run" / "1"
        assert result.metrics == pytest.approx(figures["test"])
    again = export.export_run(run, config.export)
    assert again == run.parent / "exported" / "run" / "2"
    after = (run / "model.keras").stat().st_mtime_ns, (run / "history.jsonl").read_bytes()
    assert after == before
    assert metrics_of(run)["validation"] == pytest.approx(figures["validation"])


def test_other_settings_are_refused_by_name(copied):
    run, config = copied
    other = change(config, learning_rate=0.5, margin=0.1, run_dir=str(run))
    with pytest.raises(UserError) as refusal:
        train.train_run(other)
    message = str(refusal.value)
    assert "--learning_rate=0.01 there, --learning_rate=0.5 here" in message
    assert "--margin=0.7 there, --margin=0.1 here" in message
    assert "--epochs" not in message


def test_another_method_is_other_settings(copied):
    _, config = copied
    paper = configs.METHODS["huse_paper"].of(**flat(config.method))
    with pytest.raises(UserError, match=r"--method=huse there, --method=huse_paper here"):
        train.train_run(dataclasses.replace(config, method=paper))


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint_every_steps": 1},
        {"encoder_batch_size": 3},
        {"recall_at": (2,)},
        {"export_name": "other"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_do_not_change_the_model_may_differ(copied, changes):
    run, config = copied
    assert open_run(change(config, **changes)).path == run


def test_settings_that_failed_before_the_first_checkpoint_may_be_corrected(tmp_path):
    config = change(settings(tmp_path), optimizer="adam", momentum=0.5)
    with pytest.raises(UserError, match="--momentum belongs to"):
        train.train_model(config)
    assert open_run(change(config, momentum=0.0)).path == tmp_path / "run"


@pytest.mark.parametrize("name", ["validation_fraction", "test_fraction"])
def test_training_needs_both_held_out_sides(tmp_path, name):
    with pytest.raises(UserError, match=f"Expected --{name} above 0"):
        train.train_run(change(settings(tmp_path), **{name: 0.0}))


def test_the_default_run_folder_is_named_after_the_catalogue(tmp_path):
    config = change(settings(tmp_path), run_dir="")
    assert str(open_run(config)) == "runs/shop"


def test_the_validation_side_can_be_measured_into_another_folder(copied, tmp_path):
    run, config = copied
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    evaluate.evaluate_run(run, config, split=keys.VALIDATION, output=tmp_path / "out")
    assert of_the_model(metrics_of(tmp_path / "out")["validation"]) == pytest.approx(
        metrics_of(run)["validation"]
    )
    assert "test" not in metrics_of(tmp_path / "out")
    assert "validation items" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in before} == before


def test_measuring_into_the_run_keeps_the_other_side(copied):
    """Also if --output names the run's own folder by another path."""
    run, config = copied
    before = metrics_of(run)
    output = run / ".." / run.name
    changed = change(config, recall_at=(3,), precision_at=(2,))
    result = evaluate.evaluate_run(run, changed, split=keys.VALIDATION, output=output)
    after = metrics_of(run)
    assert after["test"] == before["test"]
    assert after["validation"] == result.metrics
    assert "image_to_text/class/recall_at_3" in result.metrics
    assert "image_to_text/class/recall_at_1" not in result.metrics


def test_the_fusion_weight_is_that_of_the_validation_side(copied, tmp_path):
    """It is not tuned on the measured items: a changed weight in the file is used unchanged."""
    run, config = copied
    figures = metrics_of(run)
    figures["validation"]["classification/fusion_weight"] = 0.15
    seals.write_json(run / "metrics.json", figures)
    result = evaluate.evaluate_run(run, config, output=tmp_path / "out")
    assert result.metrics["classification/fusion_weight"] == 0.15


def test_another_catalogue_is_measured_into_its_own_folder(copied, tmp_path):
    """It has one class of the three; its features are in the run's file, by image."""
    run, config = copied
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    table = [row for row in rows() if row["classes"] == CLASSES[2]]
    data = small_runs.write_catalogue(tmp_path / "new", table)
    config = dataclasses.replace(config, data=data)
    with pytest.raises(UserError, match="Expected --output=FOLDER"):
        evaluate.evaluate_run(run, config, other_catalogue=True)
    with pytest.raises(UserError, match="Expected --catalogue too"):
        evaluate.evaluate_run(run, config, include_known=True, output=tmp_path / "out")
    result = evaluate.evaluate_run(
        run, config, other_catalogue=True, include_known=True, output=tmp_path / "out"
    )
    figures = metrics_of(tmp_path / "out")
    assert figures["test"] == result.metrics
    assert figures["known"]["measured"] == 16 and figures["known"]["left_out"] == 0
    known = figures["known"]["known"]
    assert 0 < known < 16
    sentence = f"All 16 items of this catalogue were measured, among them {known} that the run"
    assert result.summary().startswith(sentence)
    assert sentence in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert figures["test"]["image_to_text/class/queries"] == 16
    weight = "classification/fusion_weight"
    assert figures["test"][weight] == metrics_of(run)["validation"][weight]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "metrics.json",
        "report.html",
        "rejected.csv",
        "known.csv",
        "digests.json",
        ".lock",
    }
    result = evaluate.evaluate_run(run, config, other_catalogue=True, output=tmp_path / "out")
    figures = metrics_of(tmp_path / "out")
    assert figures["known"]["measured"] == 16 - known
    assert figures["known"]["left_out"] == figures["known"]["known"] == known
    assert result.summary().startswith(f"{16 - known} of 16 items of this catalogue were measured.")
    assert {path: path.read_bytes() for path in before} == before


def test_untrained_runs_are_refused(copied, tmp_path):
    run, config = copied
    (run / "metrics.json").unlink()
    sentence = r"not trained to its end: it has no metrics.json.*huse_tf.train --flagfile="
    with pytest.raises(UserError, match=sentence):
        evaluate.evaluate_run(run, config, output=tmp_path / "out")
    with pytest.raises(UserError, match=sentence):
        export.export_run(run, config.export)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_a_folder_without_a_run_is_refused(command, tmp_path):
    done = small_runs.run(command, f"--run_dir={tmp_path}", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"UserError: No run lies in '.*': .*\n", done.stderr)


def test_an_export_is_named_after_the_run_in_any_working_directory(copied, monkeypatch):
    run, config = copied
    monkeypatch.chdir(run)
    where = dataclasses.replace(config.export, data_license="CC0-1.0")
    exported = export.export_run(".", where)
    assert exported == run.parent / "exported" / "run" / "1"
    assert "| CC0-1.0 |" in (exported / "assets.extra/LICENSES.md").read_text("utf-8")
