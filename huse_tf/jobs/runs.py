"""Opens runs: checks the settings in a run's folder, loads its trained model, lists package versions."""

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
from huse_tf.settings import replaced
from huse_tf.training.checkpoints import saved_steps

# Settings that may differ when a run continues, because they do not change the model.
_FREE = {"run_dir", "cache_dir", "encoder_batch_size", "checkpoint_every_steps"}
_UNBOUND = ("evaluation", "export")


def open_run(config: Config) -> RunFolder:
    """The folder of the run with these settings. It need not exist.

    A run keeps its settings from its first checkpoint on, or once validation items have chosen some. Settings of the sections evaluation and export
    may change. The caller must have locked the folder (`locks.locked`).

    Raises:
        UserError: the folder holds a run with other settings.
    """
    run = RunFolder(run_dir(config))
    begun = (
        saved_steps(run.checkpoints) or run.timing.exists() or run.chosen.exists() or run.is_trained
    )
    if begun:
        before, now = binding(_kept_flags(run)), binding(config.to_flagfile())
        changed = [name for name in before | now if before.get(name) != now.get(name)]
        if changed:
            raise UserError(
                f"{str(run)!r} holds a run with other settings: "
                + ", ".join(
                    f"{before.get(n, 'none')} there, {now.get(n, 'none')} here" for n in changed
                )
                + ". Expected the settings of that run. Use them, or give another --run_dir."
            )
    return run


def _kept_flags(run: RunFolder) -> str:
    """The run's settings as flag lines, from config.json, or from flags.txt if that is damaged."""
    try:
        return configs.load(run).to_flagfile()
    except UserError:
        with run.reading(run.flags):
            return run.flags.read_text(encoding="utf-8")


def binding(flagfile: str) -> dict[str, str]:
    """Flag -> line of the flag file, for all settings that the trained model depends on."""
    unbound = {f.name for part in _UNBOUND for f in dataclasses.fields(SECTIONS[part])}
    lines = {line.partition("=")[0]: line for line in flagfile.splitlines()}
    return {
        flag: line for flag, line in lines.items() if flag.removeprefix("--") not in unbound | _FREE
    }


def trained_model(folder: str | os.PathLike[str]) -> keras.Model:
    """Loads the model of the best epoch of the run in `folder`.

    Returns:
        The Keras model, not compiled. It maps features of both modalities to the outputs in keys.py.

    Raises:
        UserError: the run is not trained to its end, or the file is damaged.
    """
    run = RunFolder(folder)
    if not run.is_trained:
        raise UserError(
            f"The run in {str(run)!r} is not trained to its end: it has no {run.metrics.name}. Expected a "
            f"trained run. Train it first: python -m huse_tf.train --flagfile={run.flags}"
        )
    with run.reading(run.model):
        return keras.models.load_model(run.model, compile=False)


def refit_model(run: RunFolder) -> keras.Model:
    """Loads the model of a run that was trained again on the items of all splits.

    Raises:
        UserError: there is none yet, or the file is damaged.
    """
    if not run.refit.trained_on.exists():
        raise UserError(
            f"The run in {str(run)!r} has no model that was trained again on all items. Expected one, "
            "for --refit=all. Export the measured model with --refit=none, or train again on all items: "
            f"python -m huse_tf.train --flagfile={run.flags} --run_dir={run} --refit=all"
        )
    with run.refit.reading(run.refit.model):
        return keras.models.load_model(run.refit.model, compile=False)


def with_chosen(config: Config, run: RunFolder) -> Config:
    """The settings of a run, with those of its method that were chosen on the validation items.

    Raises:
        UserError: a file is damaged.
    """
    method = config.method
    for path in (run.chosen, run.settled):
        if path.exists():
            found = run.read_json(path)
            found = {n: tuple(v) if isinstance(v, list) else v for n, v in found.items()}
            method = replaced(method, **found)
    return dataclasses.replace(config, method=method)


def versions() -> dict[str, str]:
    """Package -> version, for all packages that results depend on."""
    packages = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy", "pandas", "pillow")
    return {
        "huse_tf": huse_tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
