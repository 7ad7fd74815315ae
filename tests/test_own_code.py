"""Methods, losses and encoders from outside the package: tests/examples_outside, through all commands."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import small_runs
from own_project import PROJECT, install

from huse_tf import config, plugins
from huse_tf.errors import UserError
from huse_tf.features.registry import class_encoder, make_image_encoder, make_text_encoder
from huse_tf.methods import find_method, method_name

METHOD, ENCODER = "shop_search.twins:Twins", "shop_search.colors:Colors"


def run(command, *arguments, folder, path=PROJECT):
    """`python -m huse_tf.COMMAND` with the project on the Python path."""
    root = pathlib.Path(__file__).parent.parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (root, path)))
    return subprocess.run(
        [sys.executable, "-m", f"huse_tf.{command}", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return install(tmp_path_factory.mktemp("site"))


def flags_of(folder, *more):
    """A run of seconds, whose method and image encoder are given on the command line."""
    settings = small_runs.settings(folder)
    return [
        f"--catalogue={settings.data.catalogue}",
        "--validation_fraction=0.25",
        "--test_fraction=0.25",
        "--text_encoder=tfidf",
        "--class_graph=tree",
        f"--cache_dir={folder / 'cache'}",
        f"--run_dir={folder / 'run'}",
        "--batch_size=8",
        "--epochs=2",
        "--strategy=one",
        f"--export_dir={folder / 'exported'}",
        "--noexport_check",
        "--refit=none",
        "--angle_weight=0.25",
        "--embedding_dim=8",
        "--image_layers=16",
        *more,
    ]


def sentence(done):
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_method_and_an_encoder_by_module_and_class(tmp_path):
    arguments = flags_of(tmp_path, f"--method={METHOD}", f"--image_encoder={ENCODER}:2")
    done = run("train", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    saved = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert saved["method"]["name"] == METHOD
    assert (saved["method"]["angle_weight"], saved["method"]["embedding_dim"]) == (0.25, 8)
    assert "loss/angle_gap" in (tmp_path / "run" / "history.jsonl").read_text(encoding="utf-8")
    # The run folder alone makes nobody import its code; the user's word does.
    for command in ("evaluate", "export"):
        refused = run(command, f"--run_dir={tmp_path / 'run'}", folder=tmp_path)
        assert refused.returncode == 2 and "--import_modules=shop_search.twins" in sentence(refused)
        more = ["--noexport_check", "--export_version=7"] if command == "export" else []
        done = run(
            command,
            f"--run_dir={tmp_path / 'run'}",
            "--import_modules=shop_search.twins,shop_search.colors",
            *more,
            folder=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    # The same command goes on with a run that is there, and its flags.txt is a flag file.
    again = run("train", f"--flagfile={tmp_path / 'run' / 'flags.txt'}", folder=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_an_installed_method_and_encoder_by_name(tmp_path, installed):
    arguments = flags_of(tmp_path, "--method=twins", "--image_encoder=colors")
    done = run("train", *arguments, folder=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr
    saved = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert saved["method"]["name"] == "twins"
    done = run("evaluate", f"--run_dir={tmp_path / 'run'}", folder=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_comparison_takes_a_method_of_ones_own(tmp_path):
    small = [each for each in flags_of(tmp_path) if not each.startswith(("--run_dir", "--angle"))]
    done = run(
        "compare",
        *small,
        f"--image_encoder={ENCODER}",
        f"--methods=huse,{METHOD}:angle_weight=0.1",
        "--seeds=0",
        f"--output={tmp_path / 'compared'}",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert f"{METHOD}:angle_weight=0.1" in done.stdout


def test_help_on_a_method_of_ones_own(tmp_path, installed):
    for name, path in ((METHOD, PROJECT), ("twins", installed)):
        done = run("train", f"--method={name}", "--help", folder=tmp_path, path=path)
        assert "--angle_weight" in done.stdout and "--graph_weight" not in done.stdout
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--method=shop_search.nothing:Twins", "'shop_search.nothing' cannot be imported"),
        ("--method=shop_search.twins:Nothing", "has no 'Nothing'"),
        ("--method=shop_search.angle_gap:AngleGap", "Expected a subclass of huse_tf.methods.base"),
        ("--method=huse_tf.methods.base:Method", "Expected a subclass of huse_tf.methods.base"),
        ("--method=hose", "should be one of"),
    ],
)
def test_wrong_methods_end_with_a_sentence(tmp_path, argument, message):
    done = run("train", argument, folder=tmp_path)
    assert done.returncode == 2 and message in sentence(done)


@pytest.fixture
def project(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT))
    monkeypatch.setattr(plugins, "_allowed", set())
    yield
    for module in [each for each in sys.modules if each.partition(".")[0] == "shop_search"]:
        del sys.modules[module]


def test_settings_import_nothing_that_nobody_asked_for(project):
    text = config.Config().to_json()
    tree = json.loads(text)
    tree["method"] = {"name": METHOD}
    with pytest.raises(UserError, match="not run just because settings name it"):
        config.Config.from_json(json.dumps(tree))
    assert not any(module.startswith("shop_search") for module in sys.modules)
    plugins.import_module("shop_search.twins")
    loaded = config.Config.from_json(json.dumps(tree))
    assert type(loaded.method).__name__ == "Twins"
    assert config.Config.from_json(loaded.to_json()) == loaded


def test_a_module_that_the_user_named_is_imported(project):
    plugins.allow(f"{METHOD}:angle_weight=2")
    kind = find_method(METHOD)
    assert method_name(kind) == METHOD


def test_any_importable_object_is_not_a_method(project):
    with pytest.raises(UserError, match="Expected a subclass"):
        find_method("os:system")


@pytest.mark.parametrize("make", [make_image_encoder, make_text_encoder, class_encoder])
def test_any_importable_object_is_not_an_encoder(make):
    """Of imported modules too, so settings from elsewhere cannot have a function called."""
    with pytest.raises(UserError, match="Expected a"):
        make("os:system")


def test_the_guide_shows_these_very_files():
    guide = PROJECT.parents[1] / "docs" / "guides" / "own_method.md"
    blocks = re.findall(
        r'^```\w+ title="([^"]+)"\n(.*?)^```$', guide.read_text(encoding="utf-8"), re.M | re.S
    )
    assert {name for name, _ in blocks} == {
        "pyproject.toml",
        *(f"shop_search/{name}.py" for name in ("angle_gap", "colors", "twins")),
    }
    for name, code in blocks:
        assert code == (PROJECT / name).read_text(encoding="utf-8"), name
