"""Errors whose message is all that a user needs; the command line prints them without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What was given cannot be used. The message says what was wrong, what was expected, what to do."""


def unknown_name(what: str, received: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not one of `known`, with the nearest of them as a suggestion."""
    known = sorted(known)
    close = difflib.get_close_matches(received, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UserError(
        f"Unknown {what}. Expected one of: {', '.join(known)}. Received: {received!r}.{hint}"
    )
