"""Rooms whose names are imported on first use."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

ROOMS = ("changes", "features", "heads", "losses", "models", "towers")


@pytest.mark.parametrize("name", ROOMS)
def test_every_name_is_there_and_hides_no_file(name):
    """A file is an attribute of its package once it is imported, and would win over a name."""
    room = importlib.import_module(f"huse_tf.{name}")
    assert not set(room.__all__) & {each.name for each in pkgutil.iter_modules(room.__path__)}
    assert dir(room) == room.__all__
    for each in room.__all__:
        assert getattr(room, each) is not None


def test_an_unknown_name_is_an_attribute_error():
    from huse_tf import losses

    with pytest.raises(AttributeError, match=r"'huse_tf\.losses' has no attribute 'Nothing'"):
        losses.Nothing  # noqa: B018


def test_a_room_is_imported_without_tensorflow():
    """And all methods with it."""
    script = (
        f"import sys, huse_tf.methods; from huse_tf import {', '.join(ROOMS)}\n"
        "sys.exit(str({'tensorflow', 'keras', 'pandas', 'sklearn'} & set(sys.modules) or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "", done.stderr
