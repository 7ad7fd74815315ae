"""The folder of a run: whose settings it holds, whether it is trained, and what it was made with."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import pathlib
import platform

import keras

import huse_tf
from huse_tf import config as configs
from huse_tf.agreement import run_dir
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.run_files import CHECKPOINTS, FLAGS, METRICS, MODEL, TIMING, reading
from huse_tf.training.checkpoints import saved_steps

# Settings that may differ when a run goes on: none of them changes the model.
_FREE = {"run_dir", "cache_dir", "encoder_batch_size", "checkpoint_every_steps"}
_UNBOUND = ("evaluation", "export")


def run_folder(config: Config) -> pathlib.Path:
    """The run's folder, which need not exist; refused if it holds a run with other settings.

    A run holds on to its settings from its first checkpoint on, and without checkpoints once it is
    trained: before, nothing would be lost. While it is under way nobody else works in its folder:
    whoever trains in it holds it first (`locks.locked`).
    """
    folder = run_dir(config)
    begun = saved_steps(folder / CHECKPOINTS) or any(
        (folder / name).exists() for name in (TIMING, METRICS)
    )
    if begun:
        before, now = _binding(_kept_flags(folder)), _binding(config.to_flagfile())
        changed = [name for name in before | now if before.get(name) != now.get(name)]
        if changed:
            raise UserError(
                f"{str(folder)!r} holds a run with other settings: "
                + ", ".join(
                    f"{before.get(n, 'none')} there, {now.get(n, 'none')} here" for n in changed
                )
                + ". Give another --run_dir, or the settings of that run."
            )
    return folder


def _kept_flags(folder: pathlib.Path) -> str:
    """The run's settings as a flag file, from whichever of its two files is whole."""
    try:
        return configs.load(folder).to_flagfile()
    except UserError:
        with reading(folder / FLAGS):
            return (folder / FLAGS).read_text(encoding="utf-8")


def _binding(flagfile: str) -> dict[str, str]:
    """Flag -> line of the flag file, of all settings that a run's result depends on."""
    sections = {f.name for part in _UNBOUND for f in dataclasses.fields(configs.SECTIONS[part])}
    lines = {line.partition("=")[0]: line for line in flagfile.splitlines()}
    return {
        flag: line
        for flag, line in lines.items()
        if flag.removeprefix("--") not in sections | _FREE
    }


def trained_model(folder: pathlib.Path) -> keras.Model:
    """The best model of the run in `folder`; refused if it is not trained to its end, or damaged."""
    if not is_trained(folder):
        raise UserError(
            f"The run in {str(folder)!r} is not trained to its end: it has no {METRICS}. Train it "
            f"first: python -m huse_tf.train --flagfile={folder / FLAGS}"
        )
    with reading(folder / MODEL):
        return keras.models.load_model(folder / MODEL, compile=False)


def is_trained(folder: pathlib.Path) -> bool:
    """Whether the run in `folder` is trained to its end; its checkpoints are then needed no more."""
    return (folder / METRICS).exists()


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    packages = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy", "pandas", "pillow")
    return {
        "huse_tf": huse_tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
