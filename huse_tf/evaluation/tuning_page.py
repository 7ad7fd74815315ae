"""The trials of a tuning as a page: what was found, how the value rose, and each trial."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from huse_tf import files
from huse_tf.evaluation import plots
from huse_tf.pages.environment import environment


@dataclasses.dataclass(frozen=True)
class TrialRow:
    """A trial on the page.

    Attributes:
        number: from 1; trial 1 has the settings that were given.
        state: "complete", "pruned" or "failed".
        settings: the values of the searched settings, by name.
        told: the same as their flags have them.
        value: the highest mean of the monitored metrics on validation items; None of a failed trial.
        best_epoch: the epoch of that value.
        epochs: how many it was trained for.
        seconds: of training.
        note: why it failed.
        best: whether it is the best of all.
    """

    number: int
    state: str
    settings: Mapping[str, Any]
    told: Mapping[str, str]
    value: float | None
    best_epoch: int | None
    epochs: int | None
    seconds: float | None
    note: str
    best: bool


def write_tuning_page(
    path: pathlib.Path,
    trials: Sequence[TrialRow],
    *,
    method: str,
    catalogue: str,
    count: int,
    monitor: Sequence[str],
    split_seed: int,
    best_flags: str,
    changed: Sequence[str],
    command: str,
    versions: Mapping[str, str],
    ratios: Collection[str] = (),
) -> None:
    """Writes one self-contained page.

    Args:
        path: of the page.
        trials: by number; one of them is the best.
        method, catalogue: their names.
        count: number of trials that are wanted.
        monitor: the metrics whose mean is the value.
        split_seed: of the split whose validation items were measured.
        best_flags: all settings of the best trial, as a flag file.
        changed: the settings of the best trial that differ from the given ones, as flags.
        command: the command line, or empty.
        versions: package -> version.
        ratios: settings that are searched by ratios, as learning rates are.
    """
    states = [trial.state for trial in trials]
    html = (
        environment(pathlib.Path(__file__).parent)
        .get_template("tuning.html")
        .render(
            trials=trials,
            names=list(trials[0].told),
            given=trials[0],
            best=next(trial for trial in trials if trial.best),
            states={state: states.count(state) for state in dict.fromkeys(states)},
            seconds=sum(trial.seconds or 0 for trial in trials),
            history=_history(trials),
            slices=_slices(trials, ratios),
            method=method,
            catalogue=catalogue,
            count=count,
            monitor=monitor,
            split_seed=split_seed,
            best_flags=best_flags,
            changed=changed,
            command=command,
            versions=versions,
        )
    )
    files.write_text(path, html)


def _history(trials: Sequence[TrialRow]) -> Markup:
    shown = [trial for trial in trials if trial.value is not None]
    return plots.search_history(
        "history",
        [trial.number for trial in shown],
        [trial.value for trial in shown if trial.value is not None],
        [trial.state == "pruned" for trial in shown],
    )


def _slices(trials: Sequence[TrialRow], ratios: Collection[str]) -> Markup | None:
    """The value over each setting; None with fewer than three trials that have one."""
    shown = [trial for trial in trials if trial.value is not None]
    if len(shown) < 3:
        return None
    panels = {
        name: [
            trial.settings[name] if _is_number(trial, name) else trial.told[name] for trial in shown
        ]
        for name in shown[0].told
    }
    values = [float(trial.value or 0) for trial in shown]
    return plots.search_slices("slices", panels, values, ratios)


def _is_number(trial: TrialRow, name: str) -> bool:
    return isinstance(trial.settings[name], float)
