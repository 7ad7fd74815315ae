"""Tuning: the space, the study with its resumption, and trials trained for real."""

import csv
import dataclasses
import doctest
import pathlib

import pytest
from small_runs import change, rows, settings

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.jobs import compare, train, tuned_methods
from huse_tf.jobs.study import COMPLETE, FAILED, PRUNED, Study, search_space, values, with_values
from huse_tf.methods import METHODS, search
from huse_tf.methods.search import Choice, Range
from huse_tf.settings import flat

pytest.importorskip("optuna")
tune = pytest.importorskip("huse_tf.jobs.tune")

SPACE = {"learning_rate": Range(1e-4, 1e-2, log=True), "image_layers": Choice(((8,), (8, 8)))}
GIVEN = {"learning_rate": 3e-4, "image_layers": (8,)}


def preset(name, **changes):
    return change(Config.from_preset(METHODS[name]), **changes)


# --- the space ------------------------------------------------------------------------------------


def test_the_space_is_fitted_to_what_is_given():
    """A term that is off stays off, a learning rate far away takes its range along."""
    space = search_space(
        preset("huse", graph_weight=0.0, learning_rate=1.0, dropout=0.8), ["margin"]
    )
    assert "graph_weight" not in space and "margin" not in space
    assert space["learning_rate"] == Range(0.183, 5.48, log=True)
    assert space["dropout"] == Range(0.0, 0.8)
    assert space["gap_weight"] == METHODS["huse"].space["gap_weight"]


def test_a_setting_without_effect_is_not_searched():
    assert "margin" in search_space(preset("devise"))
    assert "margin" not in search_space(preset("devise", loss="l2"))


def test_unknown_settings_to_keep_are_refused():
    with pytest.raises(UserError, match=r"tuning huse searches.*Received: 'margn'.*'margin'"):
        search_space(preset("huse"), ["margn"])


def test_values_go_where_they_belong():
    config = with_values(preset("huse"), {"learning_rate": 0.5, "image_layers": (7,)})
    assert config.training.learning_rate == 0.5
    assert config.method.towers.image_layers == (7,)
    assert values(config, ["image_layers"]) == {"image_layers": (7,)}


def test_the_examples_of_the_space_are_true():
    assert doctest.testmod(search) == (0, 4)


@pytest.mark.parametrize("ends", [(1.0, 1.0, False), (2.0, 1.0, False), (0.0, 1.0, True)])
def test_ranges_have_two_ends_in_order(ends):
    with pytest.raises(ValueError, match="low < high"):
        Range(*ends)


# --- the study, without training ------------------------------------------------------------------


def study(folder, seed=0, **more):
    folder.mkdir(exist_ok=True)
    return Study(folder, SPACE, GIVEN, {"--epochs": "--epochs=3", **more}, seed)


def score(settings):
    """Highest at a learning rate of .001 and two layers."""
    return 1 - abs(settings["learning_rate"] - 1e-3) + 0.1 * len(settings["image_layers"])


def go_on(folder, until, seed=0):
    """Runs trials, each as after a fresh start of the process."""
    for _ in range(until):
        opened = study(folder, seed)
        trial = opened.next()
        trial.done(score(trial.settings), best_epoch=1, epochs=1, seconds=0.5)
    return opened.trials


@pytest.mark.slow
def test_a_study_that_is_reopened_after_each_trial_proposes_the_same(tmp_path):
    whole = study(tmp_path / "whole")
    for _ in range(7):
        trial = whole.next()
        trial.done(score(trial.settings), best_epoch=1, epochs=1, seconds=0.5)
    assert go_on(tmp_path / "cut", 7) == whole.trials
    proposed = [trial.settings["learning_rate"] for trial in whole.trials]
    assert whole.trials[0].settings == GIVEN
    assert len(set(proposed)) == 7, "a generator that starts anew would repeat itself"
    assert all(1e-4 <= each <= 1e-2 for each in proposed)
    other = go_on(tmp_path / "other", 2, seed=1)
    assert other[0].settings == GIVEN and other[1].settings != whole.trials[1].settings


def test_a_trial_that_was_cut_short_goes_on(tmp_path):
    first = study(tmp_path / "cut").next()
    first.ends(1, 0.5)
    second = study(tmp_path / "cut").next()
    assert (second.number, second.settings) == (first.number, first.settings)
    assert not second.ends(1, 0.5), "the epoch is told again"
    second.done(0.5, best_epoch=1, epochs=2, seconds=2.0)
    (trial,) = study(tmp_path / "cut").trials
    assert (trial.state, trial.value, trial.epochs, trial.seconds) == (COMPLETE, 0.5, 2, 2.0)
    assert study(tmp_path / "cut").next().number == 1


def test_a_trial_far_behind_is_pruned_and_keeps_its_best_value(tmp_path):
    pruned = study(tmp_path)
    for value in (0.6, 0.7, 0.8):
        trial = pruned.next()
        assert not any(trial.ends(epoch, value) for epoch in (1, 2, 3, 4))
        trial.done(value, best_epoch=1, epochs=4, seconds=1.0)
    trial = pruned.next()
    assert [trial.ends(epoch, 0.5 + epoch / 100) for epoch in (1, 2, 3)] == [False, False, True]
    again = study(tmp_path).next()  # killed before the run's folder knew
    assert again.ends(3, 0.53)
    again.done(0.53, best_epoch=3, epochs=3, seconds=1.0)
    last = study(tmp_path).trials[-1]
    assert (last.state, last.value, last.epochs) == (PRUNED, 0.53, 3)


def test_another_study_is_refused(tmp_path):
    study(tmp_path)
    with pytest.raises(UserError, match=r"other settings: --epochs=3 there, --epochs=4 here"):
        study(tmp_path, **{"--epochs": "--epochs=4"})


# --- trials, trained ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """(settings, folder of a study of three trials, what it said, splits that were measured)."""
    home = tmp_path_factory.mktemp("tuned")
    config = change(settings(home, rows(products=10)), epochs=2)
    patch, measured, said = pytest.MonkeyPatch(), [], []
    original = train.measure_split

    def watched(model, data, config, split, *arguments, **more):
        measured.append(split)
        return original(model, data, config, split, *arguments, **more)

    real = tune.train_model

    def second_fails(config, **more):
        if pathlib.Path(config.training.run_dir).name == "1":
            raise UserError("loss became nan in epoch 1.")
        return real(config, **more)

    patch.setattr(train, "measure_split", watched)
    patch.setattr(tune, "train_model", second_fails)
    found = tune.tune(
        config, 3, home / "study", keep=["margin"], command="my command", say=said.append
    )
    patch.undo()
    return config, home / "study", said, measured, found


def test_trials_are_trained_and_the_best_is_written(tuned):
    config, folder, said, measured, found = tuned
    assert said[0] == "[1/3] the settings that are given" and said[2].startswith(
        "[3/3] (best so far "
    )
    assert set(measured) == {keys.VALIDATION}
    assert [trial.state for trial in found.trials] == [COMPLETE, FAILED, COMPLETE]
    assert found.best.value == max(each.value for each in found.trials if each.value is not None)
    first = found.trials[0].settings
    assert first == values(config, first) and "margin" not in first
    lines = (folder / "best.flags").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Trial ")
    best = with_values(config, found.best.settings)
    assert [line for line in lines if not line.startswith("#")] == best.to_flagfile().splitlines()
    with open(folder / "trials.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["state"] for row in table] == [COMPLETE, FAILED, COMPLETE]
    assert float(table[0]["value"]) == found.trials[0].value
    assert table[1]["note"] == "UserError: loss became nan in epoch 1."
    page = (folder / "trials.html").read_text(encoding="utf-8")
    assert "my command" in page and "Trial 2 failed. UserError: loss became nan" in page
    assert "2 complete, 1 failed" in page and page.count("<svg") == 1


def test_folders_of_trials_are_small(tuned):
    _, folder, *_ = tuned
    names = {path.name for path in (folder / "trials" / "0").iterdir()} - {".lock", "digests.json"}
    assert names == {
        "config.json",
        "flags.txt",
        "versions.json",
        "history.jsonl",
        "timing.json",
        "metrics.json",
    }


def test_a_finished_study_returns_without_reading(tuned):
    config, folder, _, _, found = tuned

    def refuse(config):
        raise AssertionError("the catalogue was read")

    again = tune.tune(config, 3, folder, keep=["margin"], reading=refuse)
    assert again.trials == found.trials and again.config == found.config


@pytest.mark.slow
def test_if_all_trials_fail_the_first_says_why(tuned, tmp_path, monkeypatch):
    config, *_ = tuned

    def fails(config, **more):
        raise UserError("no device is left.")

    monkeypatch.setattr(tune, "train_model", fails)
    monkeypatch.setattr(tune, "rehearse_run", lambda *a: None)
    with pytest.raises(UserError, match=r"None of 2 trials could be trained.*no device is left"):
        tune.tune(config, 2, tmp_path, reading=lambda config: None, say=lambda line: None)


# --- in a comparison ------------------------------------------------------------------------------


def test_methods_must_choose_by_one_rule(tmp_path):
    methods = {"huse": preset("huse"), "clip": preset("clip")}
    with pytest.raises(
        UserError, match=r"one --monitor.*huse: classification.*clip: image_to_text"
    ):
        compare.compare_methods(methods, [0], tmp_path / "none", tune=2)
    assert not (tmp_path / "none").exists()
    one = {name: change(each, monitor=("pairs/auc",)) for name, each in methods.items()}
    tuned_methods.check_one_rule(one)


def test_a_tuned_comparison_trains_the_best_settings(tuned, tmp_path, monkeypatch):
    """Each method gets the budget on the first seed's split, and what it chose is listed."""
    config, _, _, _, found = tuned
    best = dataclasses.replace(found, config=with_values(config, {"dropout": 0.25}))
    asked, trained, notes = [], [], []

    def tune_one(config, count, folder, **more):
        asked.append((config.data.split_seed, config.training.seed, count, folder, more["keep"]))
        return best if "huse" in folder.name else tune.Tuned(config)

    def run(config, readings, split):
        trained.append((config.training.seed, flat(config.method)["dropout"]))
        return True, {}, {}

    monkeypatch.setattr(tuned_methods, "tune", tune_one)
    monkeypatch.setattr(compare, "_check_runs", lambda configs: None)
    monkeypatch.setattr(compare, "_run", run)
    monkeypatch.setattr(compare, "write_comparison_page", lambda *a, **k: notes.append(k))
    methods = {"huse:margin=0.5": config, "plain": config}
    keep = {"huse:margin=0.5": ("margin", "class_graph")}
    compare.compare_methods(methods, [4, 5], tmp_path, say=lambda line: None, tune=3, keep=keep)
    assert asked == [
        (4, 4, 3, tmp_path / "tuning" / "huse-margin-0.5", ["margin"]),
        (4, 4, 3, tmp_path / "tuning" / "plain", []),
    ]
    given = flat(config.method)["dropout"]
    assert trained == [(4, 0.25), (4, given), (5, 0.25), (5, given)]
    assert "Each method: 3 trials on validation." in notes[-1]["note"]
    assert "Nothing to search: plain." in notes[-1]["note"]
    table = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| plain | nothing to search | – | – | – |" in table
    with open(tmp_path / "chosen_settings.csv", encoding="utf-8", newline="") as file:
        chosen = list(csv.DictReader(file))
    assert [row["trials"] for row in chosen] == ["3", "0"]
    assert float(chosen[0]["best"]) == found.best.value


@pytest.mark.slow
def test_a_comparison_tunes_for_real(tmp_path):
    """Two methods, two trials each, then one run each with what was chosen; again: nothing is trained."""
    config = change(settings(tmp_path, rows(products=10)), epochs=2)
    other = dataclasses.replace(config, method=METHODS["late_fusion"]())
    folder, said = tmp_path / "compared", []
    methods = {"huse": config, "late_fusion": other}
    outcomes = compare.compare_methods(methods, [3], folder, "command", said.append, tune=2)
    assert said[0] == "Tuning huse [1/2] the settings that are given"
    assert [outcome.method for outcome in outcomes] == ["huse", "late_fusion"]
    with open(folder / "chosen_settings.csv", encoding="utf-8", newline="") as file:
        chosen = {row["method"]: row for row in csv.DictReader(file)}
    for name, row in chosen.items():
        assert float(row["best"]) >= float(row["given"])
        place = name.replace("_", "-")
        flags = (folder / "runs" / f"{place}-seed-3" / "flags.txt").read_text().splitlines()
        assert set(row["flags"].split()) <= set(flags)
        study_flags = (folder / "tuning" / place / "best.flags").read_text().splitlines()
        free = ("#", "--run_dir", "--export", "--cache_dir")
        assert {line for line in study_flags if not line.startswith(free)} <= set(flags)
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert (
        "Each method: 2 trials on validation." in page and "Settings chosen on validation" in page
    )
    said.clear()
    compare.compare_methods(methods, [3], folder, "command", said.append, tune=2)
    assert not [line for line in said if line.startswith("Tuning")]
