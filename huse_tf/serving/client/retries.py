"""Tries a request again as long as that can help: exponential back-off with full jitter."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import TypeVar

from huse_tf.serving.client.errors import ServingError
from huse_tf.serving.client.settings import ClientSettings

T = TypeVar("T")


def with_retries(
    request: Callable[[float], T],
    settings: ClientSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
) -> T:
    """The answer of `request`, which gets the seconds that are left.

    Only passing errors are tried again, and only if the deadline allows the wait. Predictions change nothing on
    the server, so a request that was cut off may be sent again.

    Args:
        request: called with the seconds left; raises `ServingError`.
        settings: attempts, waits and deadline.
        clock, sleep: of this machine, in seconds.
        draw: a number in [0, 1).

    Raises:
        ServingError: the last one.
    """
    end = clock() + settings.deadline
    for attempt in itertools.count(1):
        try:
            return request(end - clock())
        except ServingError as error:
            bound = min(settings.longest_wait, settings.first_wait * 2 ** (attempt - 1))
            wait = max(draw() * bound, error.retry_after)
            late = clock() + wait >= end
            if not error.passing or attempt == settings.attempts or late:
                error.add_note(f"Attempts: {attempt}.")
                raise
        sleep(wait)
    raise AssertionError("unreachable")
