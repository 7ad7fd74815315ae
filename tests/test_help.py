"""`--help` of the real commands shows the defaults of the chosen method."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from huse_tf.cli.flag_help import method_to_show
from huse_tf.config import Config
from huse_tf.methods import METHODS
from huse_tf.settings import flat, leaves

ROOT = pathlib.Path(__file__).parents[1]


def help_of(*arguments, folder=ROOT, command="train"):
    """Flag -> its text in --help, on one line."""
    done = subprocess.run(
        [sys.executable, "-m", f"huse_tf.{command}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "Traceback" not in done.stderr, done.stderr
    flags = done.stdout.partition("\nTry --helpfull")[0]
    parts = re.split(r"^  (?:-\S,)?--(?:\[no\])?", flags, flags=re.M)[1:]
    return {re.split(r"[:\s]", part)[0]: " ".join(part.split()) for part in parts}


def default_in(text):
    found = re.search(r"\(default: (.*?)\)(?: \(an? [^()]*\))*$", text)
    return found and found[1].strip("'").replace(" ", "")  # absl breaks long defaults anywhere


@pytest.mark.parametrize("name", ["huse", "fashion_bert"])
def test_help_on_a_method_shows_its_settings_and_defaults_only(name):
    told = help_of(f"--method={name}", "--help")
    config = Config.from_preset(METHODS[name])
    mine = set(flat(config.method))
    others = {leaf for each in METHODS.values() for leaf in leaves(each)} - mine
    assert mine <= set(told) and not others & set(told)
    assert default_in(told["method"]) == name
    for section in (config.method, config.training, config.features):
        for setting, value in flat(section).items():
            if isinstance(value, bool):
                value = str(value).lower()
            if isinstance(value, tuple):
                value = ",".join(map(str, value))
            assert (default_in(told[setting]) or "") == str(value).replace(" ", ""), setting


def test_a_flag_file_can_name_the_method(tmp_path):
    (tmp_path / "my.flags").write_text("--catalogue=x.csv\n--method=triplet\n", encoding="utf-8")
    told = help_of("--help", "--flagfile=my.flags", folder=tmp_path)
    assert default_in(told["margin"]) == str(METHODS["triplet"]().margin)
    assert "graph_weight" not in told


@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_help_without_a_method_shows_the_value_of_each(command):
    told = help_of("--help", command=command)
    for name in ("margin", "classification_weight", "image_layers"):
        assert default_in(told[name]) is None, "one method's default would pass for all methods'"
        for method in METHODS.values():
            if name in leaves(method):
                assert method.name in told[name]
                value = leaves(method)[name].default
                words = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                assert words in told[name]
    assert re.search(r"Presets: .*huse_paper 1\.6192e-05", told["learning_rate"])


def test_the_method_that_help_is_shown_for():
    assert method_to_show(["--method=huse"]) is None
    assert method_to_show(["--help"]) is None
    assert method_to_show(["--help", "--method", "clip"]) is METHODS["clip"]
    assert method_to_show(["--catalogue", "x.csv", "--method=clip", "-?"]) is METHODS["clip"]
    assert method_to_show(["--method=hose", "--help"]) is None
    assert method_to_show(["--flagfile=nowhere.flags", "--help"]) is None
