"""The compare command's work, on a small catalogue, trained for real."""

import contextlib
import csv
import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
from small_runs import change, rows, settings

from huse_tf import files, keys, seals
from huse_tf.data.table.disk import DiskTable
from huse_tf.errors import UserError
from huse_tf.evaluation.comparison_table import Outcome
from huse_tf.jobs import compare, run_data, train
from huse_tf.locks import locked
from huse_tf.methods import METHODS


@pytest.fixture
def methods(tmp_path):
    """HUSE, and HUSE with twice the units."""
    config = change(settings(tmp_path, rows(products=10)), epochs=2)
    return {"huse": config, "huse:embedding_dim=16": change(config, embedding_dim=16)}


def one_run():
    """The settings of HUSE on a catalogue that lies in the current folder."""
    return {"huse": change(settings(pathlib.Path(), rows(products=10)), epochs=2)}


SEED = 3  # not the default
COMPARED, RUN = pathlib.Path("compared"), pathlib.Path(f"compared/runs/huse-seed-{SEED}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """(a folder with a comparison of that run, what came of it); not to be changed."""
    folder = tmp_path_factory.mktemp("shop")
    with contextlib.chdir(folder):
        return folder, compare.compare_methods(one_run(), [SEED], COMPARED, say=silent)


@pytest.fixture
def compared(shop, tmp_path, monkeypatch):
    """(settings, outcome) of that run; the current folder is a copy of its folder."""
    folder, (outcome,) = shop
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return one_run(), outcome


@pytest.fixture
def without_page(monkeypatch):
    """For tests of what is measured: the plots of the page take longer than that."""
    monkeypatch.setattr(compare, "write_comparison_page", lambda *a, **k: None)


def silent(line):
    """Takes a line of progress."""


def metrics_without_costs(outcome: Outcome):
    costs = ("cost/training_seconds", "cost/images_per_second", "cost/texts_per_second")
    return {path: value for path, value in outcome.metrics.items() if path not in costs}


def test_trains_each_once_and_tells_all(tmp_path, methods, monkeypatch):
    read = []
    original = run_data.read
    monkeypatch.setattr(compare, "read", lambda config: read.append(1) or original(config))
    frames, whole = [], DiskTable.frame
    monkeypatch.setattr(
        DiskTable, "frame", lambda t, chosen=None: frames.append(chosen) or whole(t, chosen)
    )
    folder, said = tmp_path / "compared", []
    outcomes = compare.compare_methods(methods, [0, 1], folder, "the command", said.append)
    assert frames and all(chosen is not None and chosen.mean() < 0.5 for chosen in frames), (
        "items were read into memory that nothing measures"
    )
    assert [(o.method, o.seed) for o in outcomes] == [
        (name, seed) for seed in (0, 1) for name in methods
    ]
    assert len(read) == 1, "the catalogue was read again"
    assert said[0] == "[1/4] huse, seed 0"
    assert said[3].startswith("[4/4] huse:embedding_dim=16, seed 1; about ")
    for outcome in outcomes:
        for path, query in outcome.queries.items():
            assert query.values.mean() == pytest.approx(outcome.metrics[path], abs=1e-6), path
        assert outcome.metrics["cost/training_seconds"] > 0
    one, other = (o.metrics["cost/parameters"] for o in outcomes[:2])
    # Eight units more: two last layers of 16 -> 8 with bias, and the classifier's 3 classes.
    assert other - one == 2 * (16 * 8 + 8) + 8 * 3

    table = (folder / "comparison.md").read_text(encoding="utf-8")
    assert "the command" in table
    assert "AUC" in table and "not tested" not in table
    assert "| frozen features |" in table
    for path in ("text_to_text/class/recall_at_1", "classification/fused/accuracy"):
        frozen, own = (outcomes[0].queries[each] for each in (f"frozen_features/{path}", path))
        assert frozen.products.tolist() == own.products.tolist()
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert "huse:embedding_dim=16" in page
    assert page.count("<svg") >= 3
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    path = "classification/fused/accuracy"
    found = [float(line["value"]) for line in lines if line["metric"] == path]
    assert found == [outcome.metrics[path] for outcome in outcomes]

    def refuse(*arguments, **settings):
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(compare, "train_model", refuse)
    again = compare.compare_methods(methods, [0, 1], folder, "the command", said.append)
    for before, after in zip(outcomes, again, strict=True):
        assert after.metrics == before.metrics
        assert after.queries.keys() == before.queries.keys()
        for path, query in after.queries.items():
            np.testing.assert_array_equal(query.values, before.queries[path].values)
            np.testing.assert_array_equal(query.products, before.queries[path].products)

    kept = compare.finished(folder, [*methods, "never_run"])
    assert {(o.method, o.seed): o.metrics for o in kept} == {
        (o.method, o.seed): o.metrics for o in outcomes
    }
    assert all(o.queries.keys() == outcomes[0].queries.keys() for o in kept)
    assert not compare.finished(folder, methods, keys.VALIDATION)


def test_settings_are_chosen_on_the_validation_split(compared):
    """Measured on a run that was measured on test before: trained once, both kept."""
    method, test = compared
    trained = (RUN / "model.keras").read_bytes()
    (found,) = compare.compare_methods(method, [SEED], COMPARED, say=silent, split=keys.VALIDATION)
    assert (RUN / "model.keras").read_bytes() == trained
    path = "classification/fused/accuracy"
    kept = json.loads((RUN / "metrics.json").read_text())[keys.VALIDATION]
    assert found.metrics[path] == pytest.approx(kept[path])
    assert found.metrics["cost/parameters"] == test.metrics["cost/parameters"]
    products = [outcome.queries[path].products.tolist() for outcome in (test, found)]
    assert not set(products[0]) & set(products[1])
    texts = [
        (COMPARED / name).read_text(encoding="utf-8")
        for name in ("comparison.md", "comparison-validation.md")
    ]
    assert "Test items of the splits" in texts[0]
    assert "Validation items of the splits" in texts[1]
    for name in ("comparison", "metrics"):
        assert (COMPARED / f"{name}-validation.csv").exists()
    assert (COMPARED / "comparison-validation.html").exists()


def test_a_comparison_measures_what_training_alone_does(compared, monkeypatch):
    """The metrics of one run equal those of `train`, which reads the catalogue itself."""
    monkeypatch.setattr(train, "export_run", lambda *a, **k: None)  # it measures nothing
    method, outcome = compared
    config = change(method["huse"], seed=SEED, split_seed=SEED, run_dir="alone")
    alone = train.train_run(config)
    for path, value in alone.metrics.items():
        if path.startswith(("calibration/", "smaller_vectors/")):
            continue  # of the report; a comparison does not measure them
        assert metrics_without_costs(outcome)[path] == pytest.approx(value, abs=1e-6), path


@pytest.mark.slow
def test_seeds_draw_other_splits_and_unseen_classes_are_measured(tmp_path, methods):
    """DeViSE's logits score lamps, which no training item is."""
    config = dataclasses.replace(methods["huse"], method=METHODS["devise"]())
    config = change(config, class_encoder="random:8", unseen_classes=("lamps",))
    outcomes = compare.compare_methods({"devise": config}, [0, 1], tmp_path, say=lambda line: None)
    one, other = (o.queries["classification/text/accuracy"].products for o in outcomes)
    assert set(one) != set(other)
    for outcome in outcomes:
        assert outcome.metrics["unseen/zero_shot/all/candidates"] == 3
        path = "unseen/zero_shot/unseen_only/text/hit_at_1"
        assert outcome.queries["unseen/text_to_image/class/recall_at_1"].values.size
        assert path not in outcome.metrics, "one unseen class cannot be missed"
        path = "unseen/zero_shot/all/text/hit_at_1"
        assert outcome.queries[path].values.mean() == pytest.approx(outcome.metrics[path])
        assert 0 <= outcome.metrics["unseen/zero_shot/all/image/hit_at_1"] <= 1
        assert "zero_shot/all/candidates" not in outcome.metrics


def of_an_older_checkout(run: pathlib.Path):
    """The run as one that measured otherwise and knew fewer settings of the evaluation left it."""
    config = files.read_json(run / "config.json")
    del config["evaluation"]["with_own_product"]
    files.write_json(run / "config.json", config)
    key = files.read_json(run / "test_measured.json")
    files.write_json(run / "test_measured.json", key | {"metrics": key["metrics"] - 1})
    files.write_json(run / "test_metrics.json", {"image_to_image/class/recall_at_1": -1.0})


def test_stored_metrics_are_of_these_settings_and_this_catalogue(compared, without_page):
    """Other cut-offs are measured on the trained model; another catalogue is another comparison."""
    method, _ = compared
    model = RUN / "model.keras"
    trained = model.read_bytes()
    of_an_older_checkout(RUN)
    (found,) = compare.compare_methods(method, [SEED], COMPARED, say=silent)
    assert model.read_bytes() == trained
    assert found.metrics["image_to_image/class/recall_at_1"] >= 0
    other = {"huse": change(method["huse"], recall_at=(1, 3))}
    (found,) = compare.compare_methods(other, [SEED], COMPARED, say=silent)
    assert model.read_bytes() == trained
    assert "image_to_text/class/recall_at_3" in found.metrics
    catalogue = pathlib.Path(method["huse"].data.catalogue)
    catalogue.write_text(catalogue.read_text(encoding="utf-8").replace("word0", "word99"))
    with pytest.raises(UserError, match="The catalogue has changed"):
        compare.compare_methods(other, [SEED], COMPARED, say=silent)


def test_a_trained_run_holds_on_to_its_settings_without_checkpoints(compared):
    method, _ = compared
    shutil.rmtree(RUN / "checkpoints")
    other = {"huse": change(method["huse"], learning_rate=0.5)}
    with pytest.raises(UserError, match="holds a run with other settings: --learning_rate"):
        compare.compare_methods(other, [SEED], COMPARED, say=silent)


@pytest.mark.slow
def test_runs_of_several_labels_an_item_are_kept_too(tmp_path, methods):
    """They monitor hit@1, of which the settings given know nothing."""
    method, folder = {"huse": change(methods["huse"], multi_label=True)}, tmp_path / "compared"
    before = compare.compare_methods(method, [0], folder, say=silent)
    trained = (folder / "runs/huse-seed-0/model.keras").stat().st_mtime_ns
    again = compare.compare_methods(method, [0], folder, say=silent)
    assert (folder / "runs/huse-seed-0/model.keras").stat().st_mtime_ns == trained
    assert again[0].metrics == before[0].metrics


def test_variants_have_folders_of_their_own(tmp_path, methods):
    signs = {"siglip:logit_bias=-10", "siglip:logit_bias=10", "cme:margin=-.1", "cme:margin=0.1"}
    assert len({compare._slug(name) for name in signs}) == 4
    alike = {"huse:a=b+c": methods["huse"], "huse:a=b-c": methods["huse"]}
    with pytest.raises(UserError, match=r"'huse:a=b\+c' and 'huse:a=b-c'.*one folder"):
        compare.compare_methods(alike, [0], tmp_path / "compared", say=silent)
    assert not (tmp_path / "compared").exists()


def test_settings_are_looked_at_before_the_first_run(tmp_path, methods):
    wrong = change(methods["huse"], text_encoder="fields:2:tfidf")
    with pytest.raises(UserError, match="--text_separator"):
        compare.compare_methods({**methods, "wrong": wrong}, [0], tmp_path / "compared", say=silent)
    assert not (tmp_path / "compared").exists()


def test_damaged_metrics_are_measured_again(compared, without_page):
    method, before = compared
    trained = (RUN / "model.keras").stat().st_mtime_ns
    for name in ("test_metrics.json", "test_queries.npz", "test_measured.json"):
        content = (RUN / name).read_bytes()
        place = len(content) // 2
        (RUN / name).write_bytes(
            content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        )
        with pytest.raises(UserError, match=name):
            for each in ("test_metrics.json", "test_queries.npz", "test_measured.json"):
                with seals.reading(RUN / each, ""):
                    pass
        (again,) = compare.compare_methods(method, [SEED], COMPARED, say=silent)
        speeds = {path for path in again.metrics if "_per_second" in path}
        for path in again.metrics.keys() - speeds:
            assert again.metrics[path] == before.metrics[path], path
    assert (RUN / "model.keras").stat().st_mtime_ns == trained


def test_two_comparisons_do_not_work_on_one_run(tmp_path, methods):
    folder = tmp_path / "compared"
    with (
        locked(folder / "runs/huse-seed-0", "--output"),
        pytest.raises(UserError, match="Another process"),
    ):
        compare.compare_methods({"huse": methods["huse"]}, [0], folder, say=silent)
