"""Damaged files of a run: an intact one is used instead, or the error names the file and the remedy."""

import itertools
import pathlib
import shutil

import pytest
import small_runs
import tensorflow as tf
from small_runs import change, settings

from huse_tf import config as configs
from huse_tf import files
from huse_tf.errors import UserError
from huse_tf.jobs import evaluate, export, train
from huse_tf.jobs.runs import open_run, trained_model
from huse_tf.locks import locked
from huse_tf.training.loop import read_history

REMADE = (
    "config.json",
    "flags.txt",
    "versions.json",
    "items.csv",
    "rejected.csv",
    "taxonomy.json",
    "class_distances.npy",
    "text_encoder.json",
    "metrics.json",
    "serving.json",
    "digests.json",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder, settings) of a run. Tests must not change it."""
    folder = tmp_path_factory.mktemp("trained")
    config = settings(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
        train.train_run(config)
    return folder, config


@pytest.fixture
def copied(trained, tmp_path, monkeypatch):
    """(folder, settings) of a copy of the run, which a test may change."""
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    folder, config = trained
    shutil.copytree(folder / "run", tmp_path / "run")
    return tmp_path / "run", change(
        config, run_dir=str(tmp_path / "run"), export_dir=str(tmp_path / "exported")
    )


def flipped(content):
    """A copy with one flipped bit in the middle; in JSON this may be another digit or letter."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "flipped": flipped,
    "emptied": lambda content: b"",
    "garbage": lambda content: b"\x00\xff" * 40,
    "removed": None,
}


def damage(path, kind):
    if DAMAGES[kind] is None:
        path.unlink()
    else:
        path.write_bytes(DAMAGES[kind](path.read_bytes()))


def assert_refused(call, path):
    """The call raises an error of one line that names the file and a remedy."""
    with pytest.raises(UserError) as refusal:
        call()
    message = str(refusal.value)
    assert path.name in message
    assert "\n" not in message
    ways_out = ("Delete it", "huse_tf.train --flagfile=", "delete the folder", "No run lies in")
    assert any(words in message for words in ways_out), message


def for_each_damage(path, call):
    whole = path.read_bytes()
    for kind in DAMAGES:
        damage(path, kind)
        assert_refused(call, path)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "name",
    ("model.keras", "metrics.json", "text_encoder.json", "taxonomy.json", "data.json"),
)
def test_a_damaged_run_is_not_exported(copied, name):
    run, config = copied
    for_each_damage(run / name, lambda: export.export_run(run, config.export))
    assert not list(run.parent.glob("exported/*/*"))


def test_damaged_settings_are_refused_and_training_writes_them_again(copied):
    run, config = copied
    for_each_damage(run / "config.json", lambda: configs.load(run))
    damage(run / "config.json", "flipped")
    assert open_run(config).path == run, "flags.txt holds them too"
    with pytest.raises(UserError, match=r"--epochs=3 there, --epochs=4 here"):
        open_run(change(config, epochs=4))
    damage(run / "flags.txt", "flipped")
    assert_refused(lambda: open_run(config), run / "flags.txt")


@pytest.mark.parametrize("name", ("model.keras", "metrics.json", "history.jsonl"))
def test_a_damaged_run_is_not_measured(copied, name, tmp_path):
    run, config = copied
    for_each_damage(run / name, lambda: evaluate.evaluate_run(run, config))


@pytest.mark.parametrize(
    "name", ("class_distances.npy", "taxonomy.json", "text_encoder.json", "items.csv")
)
def test_nothing_is_measured_with_a_damaged_vocabulary(copied, name, tmp_path):
    run, config = copied

    def measured():
        evaluate.evaluate_run(run, config, other_catalogue=True, output=tmp_path / "out")

    for_each_damage(run / name, measured)


def test_a_damaged_fingerprint_is_refused(copied):
    run, config = copied
    damage(run / "data.json", "flipped")
    assert_refused(lambda: train.train_run(config), run / "data.json")


def test_training_again_writes_all_files_that_need_no_training(copied):
    run, config = copied
    before = files.read_json(run / "metrics.json")
    whole = {name: (run / name).read_bytes() for name in ("taxonomy.json", "text_encoder.json")}
    for kind, name in zip(itertools.cycle(DAMAGES), REMADE, strict=False):
        if name not in ("flags.txt", "digests.json"):
            damage(run / name, kind)
    shutil.rmtree(run / "checkpoints")  # no longer needed
    result = train.train_run(config)
    assert result.metrics == before["test"]
    assert files.read_json(run / "metrics.json") == before
    assert {name: (run / name).read_bytes() for name in whole} == whole
    assert result.export == run.parent / "exported" / "run" / "1"


def test_a_finished_run_with_a_damaged_model_is_refused(copied):
    run, config = copied
    for kind in ("flipped", "removed"):
        damage(run / "model.keras", kind)
        assert_refused(lambda: train.train_run(config), run / "model.keras")


def unfinished(run):
    """Changes the folder to that of a run that was stopped after its second epoch."""
    (run / "metrics.json").unlink()
    newest = max(run.glob("checkpoints/step-*"), key=lambda path: int(path.name[5:]))
    shutil.rmtree(newest)


@pytest.mark.parametrize("name", ("model.keras", "history.jsonl"))
def test_a_run_without_a_file_that_it_needs_does_not_go_on(copied, name):
    run, config = copied
    unfinished(run)
    for_each_damage(run / name, lambda: train.train_model(config))


def test_a_run_without_its_checkpoints_does_not_start_again(copied):
    run, config = copied
    unfinished(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match=r"has lost its checkpoints.*delete that folder"):
        train.train_model(config)
    with pytest.raises(UserError, match=r"--epochs=3 there"):
        open_run(change(config, epochs=9))


def test_an_unfinished_run_goes_on_from_the_checkpoint_before_a_damaged_one(copied, trained):
    run, config = copied
    (run / "metrics.json").unlink()
    newest, _ = sorted(
        (int(path.name[5:]) for path in run.glob("checkpoints/step-*")), reverse=True
    )
    damage(run / f"checkpoints/step-{newest}/state.data-00000-of-00001", "flipped")
    train.train_model(config)
    assert read_history(run) == read_history(trained[0] / "run")
    for one, other in zip(
        trained_model(run).get_weights(),
        trained_model(trained[0] / "run").get_weights(),
        strict=True,
    ):
        assert (one == other).all()


def test_damaged_digests_are_named_in_the_error(copied):
    run, config = copied
    damage(run / "digests.json", "cut")
    assert_refused(lambda: export.export_run(run, config.export), run / "digests.json")
    damage(run / "digests.json", "removed")
    assert trained_model(run)


def test_two_processes_do_not_work_in_one_run(copied, tmp_path):
    run, config = copied
    sentence = r"Another process works in .*run'"
    with locked(run, "--run_dir"):
        for call in (
            lambda: train.train_run(change(config, epochs=9)),
            lambda: train.train_run(config),
            lambda: evaluate.evaluate_run(run, config),
            lambda: evaluate.evaluate_run(run, config, output=tmp_path / "out"),
        ):
            with pytest.raises(UserError, match=sentence):
                call()
        other = {"other_catalogue": True, "include_known": True}
        evaluate.evaluate_run(run, config, output=tmp_path / "other", **other)
    with locked(tmp_path / "out", "--output"), pytest.raises(UserError, match=r"out'.*--output"):
        evaluate.evaluate_run(run, config, output=tmp_path / "out")


def test_a_killed_process_holds_no_lock(copied):
    """The process is killed in training. Before the first checkpoint, other settings are accepted."""
    run, config = copied
    other = change(config, run_dir=str(run.parent / "new"), epochs=10**6, validate_every=10**6)
    flags = small_runs.flagfile(other, run.parent)
    process = small_runs.start("train", flags, folder=run.parent)
    try:
        for line in process.stderr:
            if "48 items of 24 products" in line:
                break
        with pytest.raises(UserError, match="Another process works in"):
            train.train_run(change(other, epochs=3))
    finally:
        process.kill()
        process.communicate()
    assert open_run(change(other, epochs=3)).path == pathlib.Path(other.training.run_dir)
    with locked(pathlib.Path(other.training.run_dir), "--run_dir"):
        pass
