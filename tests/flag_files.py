"""The settings of the flag files in experiments/."""

from __future__ import annotations

import pathlib

from absl import flags

from huse_tf.cli import config_flags
from huse_tf.config import Config
from huse_tf.sections import SECTIONS

EXPERIMENTS = pathlib.Path(__file__).parents[1] / "experiments"


def settings_of(*names: str, arguments: tuple[str, ...] = ()) -> Config:
    """What `train` reads from the flag files, in this order, and from further arguments."""
    values = flags.FlagValues()
    config_flags.define_flags(*SECTIONS, method=True, values=values)
    values(["train", *(f"--flagfile={EXPERIMENTS / name}.flags" for name in names), *arguments])
    return config_flags.from_flags(None, values)
