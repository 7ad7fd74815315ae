"""How a client asks: deadlines, retries, sizes of requests."""

from __future__ import annotations

import dataclasses

from huse_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class ClientSettings:
    """Settings of a client. All are numbers above 0.

    Attributes:
        deadline: seconds for one request with all its attempts.
        attempts: tries of one request; 1 tries once.
        first_wait: seconds before the second attempt, at most. The bound doubles with each attempt; the wait
            is drawn evenly below it, so that clients do not come back together.
        longest_wait: the highest bound, in seconds.
        max_rows: rows of one request.
        max_bytes: bytes of images and texts in one request. A single row above it is an error of that row.
        parallel: requests under way at once.
    """

    deadline: float = 30.0
    attempts: int = 8
    first_wait: float = 0.1
    longest_wait: float = 5.0
    max_rows: int = 32
    max_bytes: int = 16 * 2**20
    parallel: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise UserError(
                    f"A setting of the client is out of range. Expected {field.name} above 0. Received: {value}."
                )
