import ast
import dataclasses
import math
import pathlib

import pytest

import huse_tf
from huse_tf.errors import UserError
from huse_tf.sections import SECTIONS
from huse_tf.settings import Settings, setting

PACKAGE = pathlib.Path(huse_tf.__file__).parent
# These files turn flags into settings. They read every field without naming it.
CONFIG_FILES = {"config.py", "sections.py", "config_flags.py", "settings.py"}


@dataclasses.dataclass(frozen=True)
class Sample(Settings):
    free: float = setting(1.0, "Any.")
    share: float = setting(0.5, "A share.", minimum=0, maximum=1)
    widths: tuple[int, ...] = setting((1, 2), "Widths.", minimum=1)
    name: str = setting("a", "A name.")


def test_the_ends_of_a_range_are_valid():
    for share in (0, 1, 0.5):
        assert Sample(share=share).share == share


@pytest.mark.parametrize("share", [-0.001, -math.inf, math.nan])
def test_a_number_below_the_range_is_refused(share):
    with pytest.raises(UserError, match=rf"--share must be at least 0. Received: {share}"):
        Sample(share=share)


@pytest.mark.parametrize("share", [1.001, math.inf])
def test_a_number_above_the_range_is_refused(share):
    with pytest.raises(UserError, match=rf"--share must be at most 1. Received: {share}"):
        Sample(share=share)


def test_every_number_of_a_list_is_checked():
    Sample(widths=())
    with pytest.raises(UserError, match=r"--widths must be at least 1. Received: 0"):
        Sample(widths=(3, 0, 5))


def test_changed_copies_are_checked_too():
    with pytest.raises(UserError, match="--share"):
        dataclasses.replace(Sample(), share=2)


def test_settings_without_a_range_are_not_checked():
    assert Sample(free=-1e30, name="").free == -1e30


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sample().share = 0.1


def attributes_read(path):
    """The names of all attributes that a file reads."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_no_flag_is_parsed_and_ignored(section):
    """Some file reads every field. tests/conformance checks the fields of methods."""
    read = set().union(
        *(attributes_read(p) for p in PACKAGE.rglob("*.py") if p.name not in CONFIG_FILES)
    )
    fields = {field.name for field in dataclasses.fields(SECTIONS[section])}
    assert fields - read == set()
