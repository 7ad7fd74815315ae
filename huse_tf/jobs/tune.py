"""Searches the settings of a method on the validation items of one split; the test items are not measured.

The first trial has the settings that are given, so the best trial is never worse than these on validation.
A study that was killed goes on within the trial that was cut short.
"""

from __future__ import annotations

import csv
import dataclasses
import gc
import io
import pathlib
from collections.abc import Callable, Collection

import keras
import tensorflow as tf

from huse_tf import files
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.tuning_page import TrialRow, write_tuning_page
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_training, with_monitor
from huse_tf.jobs.run_data import Reading, read
from huse_tf.jobs.runs import binding, versions
from huse_tf.jobs.study import (
    FAILED,
    OpenTrial,
    Study,
    Trial,
    search_space,
    text,
    values,
    with_values,
)
from huse_tf.jobs.train import rehearse_run, train_model
from huse_tf.locks import locked
from huse_tf.methods.search import Range, Space
from huse_tf.run_folder import RunFolder
from huse_tf.training.loop import read_history
from huse_tf.training.monitor import best_row, monitored

BEST, TABLE, PAGE = "best.flags", "trials.csv", "trials.html"


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What tuning has found.

    Attributes:
        config: all settings, with those of the best trial.
        trials: all, by number; none if the method has nothing to search.
        best: the best of them.
    """

    config: Config
    trials: list[Trial] = dataclasses.field(default_factory=list)
    best: Trial | None = None

    @property
    def changed(self) -> list[str]:
        """The settings that the best trial has other than the given ones, as flags."""
        if self.best is None:
            return []
        given = self.trials[0].settings
        return [
            f"--{name}={text(value)}"
            for name, value in self.best.settings.items()
            if value != given[name]
        ]


def tune(
    config: Config,
    count: int,
    folder: pathlib.Path,
    *,
    keep: Collection[str] = (),
    reading: Callable[[Config], Reading] = read,
    command: str = "",
    say: Callable[[str], None] = print,
) -> Tuned:
    """Runs trials until there are `count`, and writes `best.flags`, `trials.csv` and `trials.html` after each.

    The proposals are seeded by `config.training.seed`. A trial that cannot be trained counts as a trial.

    Args:
        config: the settings of the first trial, and of all that is not searched.
        count: number of trials, with those that the folder holds.
        folder: of the study; `trials/N` in it keeps the settings and the history of each trial.
        keep: names of settings that are not searched.
        reading: reads the catalogue.
        command: the command line that the page names.
        say: is called with a line of progress before each trial.

    Returns:
        The best trial and its settings. A method without anything to search has no trials.

    Raises:
        UserError: settings cannot be used, the folder holds a study with other settings, or no trial was
            trained to its end.
        Stopped: SIGINT or SIGTERM stopped the study. The same call continues it.
    """
    config = with_monitor(config)
    space = search_space(config, keep)
    if not space:
        return Tuned(config)
    with locked(folder, "--output"):
        settings = binding(config.to_flagfile())
        study = Study(folder, space, values(config, space), settings, config.training.seed)
        trials = study.trials
        for each in trials:  # one may have ended just before a kill
            _lighten(RunFolder(folder / "trials" / str(each.number)))
        if len(trials) < count:
            rehearse_run(config, ItemEncoders(config.features))
            catalogue = reading(config)
        while len(trials) < count:
            trial = study.next()
            say(_line(trial, count, trials))
            _run(trial, config, folder / "trials" / str(trial.number), catalogue)
            trials = study.trials
            _write(config, space, trials, folder, count, command)
        found = _tuned(config, trials)
        if not (folder / PAGE).exists():  # killed after the last trial
            _write(config, space, trials, folder, count, command)
    return found


def _run(trial: OpenTrial, config: Config, folder: pathlib.Path, catalogue: Reading) -> None:
    """Trains a trial, keeps its value, and removes what its folder need not keep."""
    run = RunFolder(folder)
    keras.backend.clear_session()
    try:
        config = with_values(config, trial.settings)
        training = dataclasses.replace(config.training, run_dir=str(folder))
        config = dataclasses.replace(config, training=training)
        check_training(config)
        with locked(folder, "--output"):
            train_model(config, reading=catalogue, ends=trial.ends, settles=False)
            rows = read_history(run)
            best = best_row(rows, config.training.monitor)
            value = monitored(best, config.training.monitor)
            seconds = run.read_json(run.timing)["seconds"]
    except (UserError, tf.errors.OpError, MemoryError) as error:
        trial.failed(f"{type(error).__name__}: {error}".partition("\n")[0])
    else:
        trial.done(value, int(best["epoch"]), int(rows[-1]["epoch"]), seconds)
    gc.collect()
    _lighten(run)


def _lighten(run: RunFolder) -> None:
    """Removes all files of an ended run but its settings, its history, its time and its metrics."""
    kept = {run.path, run.config, run.flags, run.versions, run.history, run.timing, run.metrics}
    for path in vars(run).values():
        if path not in kept:
            files.remove(path)


def _line(trial: OpenTrial, count: int, trials: list[Trial]) -> str:
    if trial.number == 0:
        return f"[1/{count}] the settings that are given"
    told = ", ".join(f"{name}={text(value)}" for name, value in trial.settings.items())
    done = [each.value for each in trials if each.value is not None]
    best = f" (best so far {max(done):.4f})" if done else ""
    return f"[{trial.number + 1}/{count}]{best} {told}"


def _tuned(config: Config, trials: list[Trial]) -> Tuned:
    done = [each for each in trials if each.value is not None]
    if not done:
        raise UserError(
            f"None of {len(trials)} trials could be trained. Expected one at least. The first one said: "
            f"{trials[0].note} Change that setting, or give another --output."
        )
    best = max(done, key=lambda each: (each.value, -each.number))  # of equal ones the first
    return Tuned(with_values(config, best.settings), trials, best)


def _write(
    config: Config,
    space: Space,
    trials: list[Trial],
    folder: pathlib.Path,
    count: int,
    command: str,
) -> None:
    files.write_text(folder / TABLE, _csv(trials))
    if all(each.state == FAILED for each in trials):
        return
    found = _tuned(config, trials)
    monitor = ", ".join(config.training.monitor)
    seed = config.data.split_seed
    head = (
        f"# Trial {_number(found.best)} of {len(trials)}, the best on the validation items of split "
        f"{seed}.\n# Not measured on test. Mean of {monitor}.\n"
    )
    files.write_text(folder / BEST, head + found.config.to_flagfile())
    write_tuning_page(
        folder / PAGE,
        [_row(each, found.best) for each in trials],
        method=config.method.name,
        catalogue=config.data.name,
        count=count,
        monitor=config.training.monitor,
        split_seed=seed,
        best_flags=found.config.to_flagfile(),
        changed=found.changed,
        command=command,
        versions=versions(),
        ratios=[name for name, each in space.items() if isinstance(each, Range) and each.log],
    )


def _number(trial: Trial | None) -> int:
    return 0 if trial is None else trial.number + 1


def _row(trial: Trial, best: Trial | None) -> TrialRow:
    return TrialRow(
        trial.number + 1,
        trial.state,
        {name: value for name, value in trial.settings.items()},
        {name: text(value) for name, value in trial.settings.items()},
        trial.value,
        trial.best_epoch,
        trial.epochs,
        trial.seconds,
        trial.note,
        trial is best,
    )


def _csv(trials: list[Trial]) -> str:
    names = list(dict.fromkeys(name for trial in trials for name in trial.settings))
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["trial", "state", "value", "best_epoch", "epochs", "seconds", *names, "note"])
    for trial in trials:
        numbers = [trial.value, trial.best_epoch, trial.epochs, trial.seconds]
        chosen = [text(trial.settings[name]) if name in trial.settings else "" for name in names]
        told = ["" if each is None else each for each in numbers]
        writer.writerow([trial.number + 1, trial.state, *told, *chosen, trial.note])
    return lines.getvalue()
