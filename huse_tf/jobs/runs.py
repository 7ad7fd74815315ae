"""Opening a run: whether its folder holds these settings, its trained model, and what it was made with."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform

import keras

import huse_tf
from huse_tf import config as configs
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.jobs.checks import run_dir
from huse_tf.run_folder import RunFolder
from huse_tf.sections import SECTIONS
from huse_tf.training.checkpoints import saved_steps

# Settings that may differ when a run goes on: none of them changes the model.
_FREE = {"run_dir", "cache_dir", "encoder_batch_size", "checkpoint_every_steps"}
_UNBOUND = ("evaluation", "export")


def open_run(config: Config) -> RunFolder:
    """The folder of a run with these settings, which need not exist.

    A run is bound to its settings from its first checkpoint on, and without checkpoints once it is
    trained: before, nothing would be lost. No other process works in the folder meanwhile: the
    caller has locked it (`locks.locked`).

    Raises:
        UserError: the folder holds a run with other settings.
    """
    run = RunFolder(run_dir(config))
    begun = saved_steps(run.checkpoints) or run.timing.exists() or run.is_trained
    if begun:
        before, now = _binding(_kept_flags(run)), _binding(config.to_flagfile())
        changed = [name for name in before | now if before.get(name) != now.get(name)]
        if changed:
            raise UserError(
                f"{str(run)!r} holds a run with other settings: "
                + ", ".join(
                    f"{before.get(n, 'none')} there, {now.get(n, 'none')} here" for n in changed
                )
                + ". Give another --run_dir, or the settings of that run."
            )
    return run


def _kept_flags(run: RunFolder) -> str:
    """The run's settings as a flag file, from whichever of its two files is whole."""
    try:
        return configs.load(run).to_flagfile()
    except UserError:
        with run.reading(run.flags):
            return run.flags.read_text(encoding="utf-8")


def _binding(flagfile: str) -> dict[str, str]:
    """Flag -> line of the flag file, of all settings that a run's result depends on."""
    unbound = {f.name for part in _UNBOUND for f in dataclasses.fields(SECTIONS[part])}
    lines = {line.partition("=")[0]: line for line in flagfile.splitlines()}
    return {
        flag: line for flag, line in lines.items() if flag.removeprefix("--") not in unbound | _FREE
    }


def trained_model(folder: str | os.PathLike[str]) -> keras.Model:
    """The model of the best epoch of the run in `folder`.

    Raises:
        UserError: the run is not trained to its end, or the file is damaged.
    """
    run = RunFolder(folder)
    if not run.is_trained:
        raise UserError(
            f"The run in {str(run)!r} is not trained to its end: it has no {run.metrics.name}. Train it "
            f"first: python -m huse_tf.train --flagfile={run.flags}"
        )
    with run.reading(run.model):
        return keras.models.load_model(run.model, compile=False)


def versions() -> dict[str, str]:
    """Package -> version, of what results depend on."""
    packages = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy", "pandas", "pillow")
    return {
        "huse_tf": huse_tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
