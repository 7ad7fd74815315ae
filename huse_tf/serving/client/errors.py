"""Errors of a whole request, and of one row of it."""

from __future__ import annotations

from huse_tf.errors import UserError

# The server may answer the same request later: it is starting, full, or was cut off.
_PASSING = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
# TF Serving joined requests of unequal width (`pad_variable_length_inputs: false`). Alone, the request would be answered.
_MISMATCH = "different shapes and padding is turned off"
_TOO_LARGE = "larger than max"  # gRPC says RESOURCE_EXHAUSTED of a message over the limit, too


class RowError(UserError):
    """One row could not be answered; the others were."""


class ServingError(Exception):
    """A request could not be answered.

    Attributes:
        code: the name of a gRPC status, such as "UNAVAILABLE"; also over REST.
        retry_after: seconds that the server asked to wait; 0 if it did not say.
    """

    def __init__(self, code: str, message: str, retry_after: float = 0.0):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later.

        Examples:
            >>> ServingError("UNAVAILABLE", "starting").passing
            True
            >>> ServingError("INVALID_ARGUMENT", "uneven batches").passing
            False
        """
        text = str(self)
        return (self.code in _PASSING and _TOO_LARGE not in text) or _MISMATCH in text
