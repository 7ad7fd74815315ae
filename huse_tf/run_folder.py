"""The folder of a run: whose settings it holds, whether it is trained, and what it was made with."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import pathlib
import platform

import keras
import tensorflow as tf

import huse_tf
from huse_tf import config as configs
from huse_tf.config import Config
from huse_tf.errors import UserError

METRICS = "metrics.json"
MODEL = "model.keras"

# Settings that may differ when a run goes on: none of them changes the model.
_FREE = {"run_dir", "cache_dir", "encoder_batch_size", "checkpoint_every_steps"}
_UNBOUND = ("evaluation", "export")


def run_folder(config: Config) -> pathlib.Path:
    """The run's folder, which need not exist; refused if it holds a run with other settings.

    A run holds on to its settings from its first checkpoint on, and without checkpoints once it is
    trained: before, nothing would be lost.
    """
    folder = pathlib.Path(config.training.run_dir or pathlib.Path("runs") / config.data.name)
    if tf.train.latest_checkpoint(str(folder / "checkpoints")) or (folder / METRICS).exists():
        before, now = _binding(configs.load(folder)), _binding(config)
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


def _binding(config: Config) -> dict[str, str]:
    """Flag -> line of the flag file, of all settings that a run's result depends on."""
    sections = {f.name for part in _UNBOUND for f in dataclasses.fields(getattr(config, part))}
    lines = {line.partition("=")[0]: line for line in config.to_flagfile().splitlines()}
    return {
        flag: line
        for flag, line in lines.items()
        if flag.removeprefix("--") not in sections | _FREE
    }


def trained_model(folder: pathlib.Path) -> keras.Model:
    """The best model of the run in `folder`; refused if it is not trained to its end."""
    for name in (MODEL, METRICS):
        if not (folder / name).exists():
            raise UserError(
                f"The run in {str(folder)!r} is not trained to its end: it has no {name}. Train it "
                f"first: python -m huse_tf.train --flagfile={folder / 'flags.txt'}"
            )
    return keras.models.load_model(folder / MODEL, compile=False)


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    packages = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy", "pandas", "pillow")
    return {
        "huse_tf": huse_tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
