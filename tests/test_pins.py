"""Versions that are written down twice must stay equal."""

import pathlib
import re

import huse_tf

ROOT = pathlib.Path(__file__).parent.parent


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pins(text):
    """Package -> version of every `package==version`."""
    return dict(re.findall(r"([\w.-]+)==([\w.]+)", text))


def minor_versions():
    """The minor versions of Python 3 that setup.py allows."""
    [bounds] = re.findall(r'python_requires=">=3\.(\d+),<3\.(\d+)"', read("setup.py"))
    return range(*map(int, bounds))


def test_hooks_run_the_tools_of_the_requirements():
    hooks, required = pins(read(".pre-commit-config.yaml")), pins(read("requirements.txt"))
    assert hooks["ruff"] == required["ruff"]
    assert {name: required.get(name, version) for name, version in hooks.items()} == hooks


def test_hooks_pin_every_package():
    [*lists] = re.findall(r"additional_dependencies: .*\[(.*)\]", read(".pre-commit-config.yaml"))
    packages = [package for packages in lists for package in packages.split(", ")]
    assert len(packages) == len(pins("\n".join(packages))) == 2


def test_ci_runs_every_supported_python():
    [matrix] = re.findall(r"python-version: \[(.*)\]", read(".github/workflows/ci.yml"))
    assert matrix == ", ".join(f'"3.{minor}"' for minor in minor_versions())


def test_citation_and_changelog_name_this_version():
    assert f"\nversion: {huse_tf.__version__}\n" in read("CITATION.cff")
    [newest, *_] = re.findall(r"^## \[?([\d.]+)", read("CHANGELOG.md"), re.M)
    assert newest == huse_tf.__version__
