"""How many requests are computed at once, and how long a caller waits for one."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from huse_tf.server.refusals import Refused

_Answer = TypeVar("_Answer")


class Gate:
    """Places for requests. A request without a free place is refused at once, never queued.

    Args:
        places: most requests at once.
    """

    def __init__(self, places: int) -> None:
        self._places, self._taken, self._open = places, 0, True
        self._changed = threading.Condition()
        self._pool = concurrent.futures.ThreadPoolExecutor(places, "request")

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A place for one request, which is free again when its work has ended, even after the block.

        Raises:
            Refused: all places are taken, or the server ends.
        """
        with self._changed:
            if not self._open:
                raise Refused(grpc.StatusCode.UNAVAILABLE, "The server ends. Ask another one.")
            if self._taken >= self._places:
                raise Refused(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"The server computes {self._places} requests already. Ask again later.",
                )
            self._taken += 1
        place = Place(self._pool, self._free)
        try:
            yield place
        finally:
            place.leave()

    def _free(self) -> None:
        with self._changed:
            self._taken -= 1
            self._changed.notify_all()

    @property
    def taken(self) -> int:
        """Number of requests that are computed now."""
        return self._taken

    @property
    def is_open(self) -> bool:
        """Whether requests are taken; False at the end of the server."""
        return self._open

    def close(self, seconds: float) -> bool:
        """Refuses new requests and waits for the running ones; returns whether all of them ended."""
        with self._changed:
            self._open = False
            done = self._changed.wait_for(lambda: not self._taken, seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return done


class Place:
    """The place of one request."""

    def __init__(
        self, pool: concurrent.futures.ThreadPoolExecutor, free: Callable[[], None]
    ) -> None:
        self._pool, self._free, self._works = pool, free, False

    def run(self, work: Callable[[], _Answer]) -> concurrent.futures.Future[_Answer]:
        """Begins the work of the request, once."""
        future = self._pool.submit(work)
        self._works = True
        future.add_done_callback(lambda _: self._free())
        return future

    def leave(self) -> None:
        """Gives the place back, unless work goes on in it."""
        if not self._works:
            self._free()


class Deadline:
    """A moment until which a caller waits.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the moment; 0 if it has passed."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raises Refused if the moment has passed, so that nothing is computed for nobody."""
        if not self.left:
            raise self.passed()

    def passed(self) -> Refused:
        return Refused(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            f"The answer took longer than {self._seconds:g} seconds. Send fewer rows, or ask again later.",
        )
