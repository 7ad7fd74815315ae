"""A study: the trials of a tuning, and what Optuna proposes for the next one. Only this file knows Optuna.

Optuna keeps trials in an SQLite file, whose transactions are whole or absent at any kill; its journal file
would be unreadable after half a line. Each trial draws from a generator of its own, seeded by the study's
seed and the trial's number, so a study that was killed proposes what it would have proposed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from huse_tf.config import Config
from huse_tf.errors import UserError, unknown_name
from huse_tf.features.packages import require_extra
from huse_tf.methods.search import Choice, Range, Search, Space
from huse_tf.settings import flat, replaced

if TYPE_CHECKING:
    import optuna

DATABASE = "study.sqlite"
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
RANDOM_TRIALS = 5  # drawn at random before Optuna learns from the finished ones
PRUNE_AFTER = 3  # no trial is pruned before so many are finished, nor in so many first epochs
_SETTINGS, _PRUNED, _NOTE, _EPOCHS, _BEST_EPOCH, _SECONDS = (
    "settings",
    "pruned after epoch",
    "note",
    "epochs",
    "best epoch",
    "seconds",
)


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: from 0; trial 0 has the settings that were given.
        state: `COMPLETE`, `PRUNED` or `FAILED`.
        settings: the values of the searched settings, by name.
        value: the highest mean of the monitored metrics on validation items; None of a failed trial.
        best_epoch: the epoch of that value.
        epochs: how many it was trained for.
        seconds: of training.
        note: why it failed.
    """

    number: int
    state: str
    settings: Mapping[str, Any]
    value: float | None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    note: str = ""


def search_space(config: Config, keep: Collection[str] = ()) -> dict[str, Search]:
    """What is searched: the space of the method, fitted to the settings that are given.

    A range that does not hold the given value is widened or moved (`Range.holding`). A setting that is
    given as 0 in a range of ratios turns something off, and stays.

    Args:
        config: the settings that are given.
        keep: names of settings that stay as they are.

    Raises:
        UserError: `keep` names a setting that is not searched.
    """
    space, given = config.method.searched, values(config, config.method.searched)
    for name in keep:
        if name not in space:
            raise unknown_name(f"setting that tuning {config.method.name} searches", name, space)
    return {
        name: search.holding(given[name])
        for name, search in space.items()
        if name not in keep and not (isinstance(search, Range) and search.log and given[name] == 0)
    }


def values(config: Config, names: Collection[str]) -> dict[str, Any]:
    """The values of these settings, of the method or of training."""
    known = {**flat(config.training), **flat(config.method)}
    return {name: known[name] for name in names}


def with_values(config: Config, chosen: Mapping[str, Any]) -> Config:
    """The settings with these ones changed, of the method or of training."""
    own = flat(config.method)
    method = {name: value for name, value in chosen.items() if name in own}
    training = {name: value for name, value in chosen.items() if name not in own}
    return dataclasses.replace(
        config,
        method=replaced(config.method, **method),
        training=replaced(config.training, **training),
    )


def text(value: Any) -> str:
    """A value as its flag has it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


class Study:
    """The trials in a folder. The caller must have locked it (`locks.locked`).

    Args:
        folder: receives the database.
        space: of `search_space`.
        given: the given values of these settings, which the first trial takes.
        settings: all other settings that a trial's value depends on, flag -> line of a flag file.
        seed: of the proposals.

    Raises:
        UserError: Optuna is not installed, or the folder holds a study with other settings.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        space: Space,
        given: Mapping[str, Any],
        settings: Mapping[str, str],
        seed: int,
    ) -> None:
        require_extra("optuna", "Tuning", "tune")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.space, self.given, self.seed = folder, dict(space), dict(given), seed
        with _disk():
            self._study = optuna.create_study(
                storage=f"sqlite:///{folder.resolve() / DATABASE}",
                study_name="huse_tf",
                direction="maximize",
                pruner=optuna.pruners.MedianPruner(PRUNE_AFTER, PRUNE_AFTER),
                load_if_exists=True,
            )
            self._check({**settings, **{name: repr(each) for name, each in self.space.items()}})
            first = {name: self._stored(name, value) for name, value in self.given.items()}
            if not self._study.trials:
                self._study.enqueue_trial(first)

    def _check(self, settings: dict[str, str]) -> None:
        before = self._study.user_attrs.get(_SETTINGS)
        if before is None:
            self._study.set_user_attr(_SETTINGS, settings)
            return
        changed = [n for n in before | settings if before.get(n) != settings.get(n)]
        if changed:
            told = (
                f"{before.get(n, f'{n} not')} there, {settings.get(n, f'{n} not')} here"
                for n in changed
            )
            raise UserError(
                f"{str(self.folder)!r} holds a study with other settings: {', '.join(told)}. Expected the "
                "settings of that study. Use them, or give another --output."
            )

    @property
    def trials(self) -> list[Trial]:
        """All trials that have ended, by number."""
        with _disk():
            found = [_trial(each, self.values_of(each)) for each in self._study.trials]
        return [each for each in found if each is not None]

    def next(self) -> OpenTrial:
        """The next trial: one that a kill has cut short, or a new one."""
        import optuna
        from optuna.trial import TrialState

        with _disk():
            cut = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            number = cut[0].number if cut else len(self._ended())
            seed = int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=RANDOM_TRIALS, seed=seed
            )
            # The number of a trial within its study does not lead back to it; only this id does.
            trial = optuna.trial.Trial(self._study, cut[0]._trial_id) if cut else self._study.ask()
            for name, search in self.space.items():
                if isinstance(search, Choice):
                    trial.suggest_categorical(name, [text(value) for value in search.values])
                else:
                    trial.suggest_float(name, search.low, search.high, log=search.log)
        return OpenTrial(self, trial)

    def _ended(self) -> list[optuna.trial.FrozenTrial]:
        return [each for each in self._study.get_trials(deepcopy=False) if each.state.is_finished()]

    def _stored(self, name: str, value: Any) -> Any:
        return text(value) if isinstance(self.space[name], Choice) else float(value)

    def values_of(self, trial: optuna.trial.Trial | optuna.trial.FrozenTrial) -> dict[str, Any]:
        """The values of a trial's settings; numbers that were drawn have three digits."""
        found: dict[str, Any] = {}
        for name, value in trial.params.items():
            search = self.space[name]
            if value == self._stored(name, self.given[name]):
                found[name] = self.given[name]
            elif isinstance(search, Choice):
                found[name] = next(each for each in search.values if text(each) == value)
            else:
                found[name] = float(f"{value:.3g}")
        return found


class OpenTrial:
    """A trial that has not ended.

    Attributes:
        number: from 0.
        settings: the values to try, by name.
    """

    def __init__(self, study: Study, trial: optuna.trial.Trial) -> None:
        self._study, self._trial = study, trial
        self.number = trial.number
        self.settings = study.values_of(trial)

    def ends(self, epoch: int, value: float) -> bool:
        """Keeps the value of an epoch; whether the trial is so far behind others that it ends here.

        A killed trial may report an epoch again, and gets the same answer.
        """
        with _disk():
            frozen = self._trial.study.get_trials(deepcopy=False)[self.number]
            if epoch not in frozen.intermediate_values:
                self._trial.report(value, epoch)
            if self._trial.should_prune():
                self._trial.set_user_attr(_PRUNED, epoch)
                return True
        return False

    def done(self, value: float, best_epoch: int, epochs: int, seconds: float) -> None:
        """Ends the trial, as complete, or as pruned if `ends` said so."""
        from optuna.trial import TrialState

        with _disk():
            for name, each in ((_BEST_EPOCH, best_epoch), (_EPOCHS, epochs), (_SECONDS, seconds)):
                self._trial.set_user_attr(name, each)
            pruned = self._trial.user_attrs.get(_PRUNED) == epochs
            study = self._trial.study
            study.tell(
                self._trial,
                None if pruned else value,
                TrialState.PRUNED if pruned else TrialState.COMPLETE,
            )

    def failed(self, why: str) -> None:
        """Ends the trial without a value."""
        from optuna.trial import TrialState

        with _disk():
            self._trial.set_user_attr(_NOTE, why)
            self._trial.study.tell(self._trial, state=TrialState.FAIL)


def _trial(frozen: optuna.trial.FrozenTrial, settings: Mapping[str, Any]) -> Trial | None:
    """None if it has not ended."""
    from optuna.trial import TrialState

    states = {
        TrialState.COMPLETE: COMPLETE,
        TrialState.PRUNED: PRUNED,
        TrialState.FAIL: FAILED,
    }
    if frozen.state not in states:
        return None
    told = frozen.user_attrs
    value = frozen.value
    if frozen.state == TrialState.PRUNED:
        value = max(frozen.intermediate_values.values())
    return Trial(
        frozen.number,
        states[frozen.state],
        settings,
        value,
        told.get(_BEST_EPOCH),
        told.get(_EPOCHS),
        told.get(_SECONDS),
        told.get(_NOTE, ""),
    )


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """Turns the database's errors about a full or read-only disk into an OSError, as other writing has."""
    import errno

    from optuna.exceptions import StorageInternalError

    try:
        yield
    except StorageInternalError as error:
        raise OSError(
            errno.EIO, f"The study cannot be written: {error.__cause__ or error}"
        ) from error
