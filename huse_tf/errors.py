"""Errors whose message is all that a user needs; the command line prints them without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_LISTED, _NEAREST = 50, 5  # names of which all are listed; names that stand for more


class UserError(ValueError):
    """What was given cannot be used. The message says what was wrong, what was expected, what to do."""


class Stopped(Exception):
    """The user asked for a stop, and it was an orderly one. The message says how to go on."""


def unknown_name(what: str, received: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not one of `known`, with the nearest of them as a suggestion."""
    known = sorted(known)
    close = difflib.get_close_matches(received, known, n=_NEAREST)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    names = ", ".join(known)
    if len(known) > _MOST_LISTED:
        names = f"{len(known)} names, such as {', '.join(close or known[:_NEAREST])}"
    return UserError(f"Unknown {what}. Expected one of: {names}. Received: {received!r}.{hint}")
