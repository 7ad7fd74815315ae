"""Progress of training: a bar on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

import tqdm
from absl import logging

SECONDS_BETWEEN_READINGS = 1.0
SECONDS_BETWEEN_LOG_LINES = 10.0


class ProgressBar:
    """Shows items done, items a second, time left and the losses of the epoch.

    Args:
        total_steps: steps of the whole training.
        batch_size: items a step.
        done: steps done before this process began.
    """

    def __init__(self, total_steps: int, batch_size: int, done: int = 0) -> None:
        self._batch_size = batch_size
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm.tqdm(
            total=total_steps * batch_size,
            initial=done * batch_size,
            unit=" examples",
            unit_scale=True,
            disable=not self._terminal,
            desc="Training",
            dynamic_ncols=True,
        )
        self._total, self._done, self._began = total_steps, done, time.monotonic()
        self._first = done
        self._read = self._logged = self._began

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def advance(self, losses: Callable[[], Mapping[str, float]]) -> None:
        """Counts one step; calls `losses` at most once a second."""
        self._done += 1
        self._bar.update(self._batch_size)
        now = time.monotonic()
        if self._terminal and now - self._read > SECONDS_BETWEEN_READINGS:
            self._read = now
            self._bar.set_postfix(_short(losses()))

    def epoch_line(
        self, epoch: int, losses: Mapping[str, float], monitor: str, value: float | None
    ) -> None:
        """Logs a line after an epoch if there is no terminal, at most every ten seconds.

        Args:
            epoch: its number, from 1.
            losses: by name.
            monitor: name of the metric that is watched.
            value: its value; None without validation.
        """
        now = time.monotonic()
        early = now - self._logged < SECONDS_BETWEEN_LOG_LINES and epoch > 1
        done = self._done - self._first  # 0 if the run was stopped after the last step of an epoch
        if self._terminal or early or not done:
            return
        self._logged = now
        rate = done / (now - self._began)
        terms = "  ".join(f"{name} {text}" for name, text in _short(losses).items())
        watched = "" if value is None else f"  {monitor} {value:.4f}"
        logging.info(
            "Epoch %d  %s%s  %.0f examples/s  at most %.0f s left",
            epoch,
            terms,
            watched,
            rate * self._batch_size,
            (self._total - self._done) / rate,
        )


def _short(losses: Mapping[str, float]) -> dict[str, str]:
    return {name.removeprefix("loss/"): f"{value:.3f}" for name, value in losses.items()}
