"""Measuring and exporting are refused for their settings before TensorFlow is imported or data are read."""

import pathlib
import subprocess
import sys

import pytest
import small_runs
from small_runs import change

from huse_tf import config as configs
from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.jobs.checks import check_export, check_measuring, export_home
from huse_tf.run_folder import RunFolder
from huse_tf.sections import ExportConfig


@pytest.fixture
def run(tmp_path):
    """The settings of a run whose folder holds nothing else."""
    config = small_runs.settings(tmp_path)
    configs.save(config, RunFolder(config.training.run_dir))
    return config


def test_right_settings_pass(run):
    check_measuring(run, run, keys.TEST, other_catalogue=False)
    check_measuring(change(run, unseen_classes=("lamps",)), run, keys.UNSEEN, other_catalogue=False)
    check_measuring(run, run, keys.TEST, other_catalogue=True)


@pytest.mark.parametrize(
    ("changes", "split", "other", "words"),
    [
        ({"text_separator": "[SEP]"}, "test", False, r"Expected --text_separator=\. Received.*SEP"),
        ({"catalogue": "nowhere.csv"}, "test", True, "No catalogue lies at .*nowhere.csv"),
        ({}, "validation", True, "Expected only one of the two.*--split=validation"),
        ({}, "unseen", False, "held out no classes.*Received: --split=unseen"),
        ({"text_encoder": "minlm"}, "test", False, "Did you mean 'minilm'"),
        ({"image_encoder": "precomputed:no.npz"}, "test", False, "no.npz"),
        ({"class_graph": "file:no.csv"}, "test", False, "No class graph lies at"),
    ],
)
def test_wrong_settings_are_not_measured(run, changes, split, other, words):
    with pytest.raises(UserError, match=words):
        check_measuring(change(run, **changes), run, split, other)


@pytest.mark.parametrize("name", ["..", "a/b", "/a", "a/"])
def test_an_export_stays_in_its_folder(name):
    with pytest.raises(UserError, match=r"name of a folder in --export_dir.*Received"):
        check_export(ExportConfig(export_name=name), pathlib.Path("runs/shop"))


def test_a_version_that_exists_is_not_overwritten(tmp_path):
    config = ExportConfig(export_dir=str(tmp_path), export_version=3)
    run = pathlib.Path("runs/shop")
    check_export(config, run)
    (export_home(config, run) / "3").mkdir(parents=True)
    with pytest.raises(UserError, match="Version 3 exists already"):
        check_export(config, run)


@pytest.mark.parametrize(
    ("command", "flag", "words"),
    [
        ("evaluate", "--split=unseen", "held out no classes"),
        ("evaluate", "--catalogue=nowhere.csv", "No catalogue lies at"),
        ("export", "--export_name=../elsewhere", "name of a folder in --export_dir"),
    ],
)
def test_commands_refuse_without_tensorflow(run, command, flag, words):
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--run_dir={run.training.run_dir}', {flag!r}]\n"
        f"try: runpy.run_module('huse_tf.{command}', run_name='__main__')\n"
        "except SystemExit as stop: code = stop.code\n"
        "print('tensorflow' in sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "False\n"
