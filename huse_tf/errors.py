"""Errors for users. The command line prints their message without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_LISTED, _NEAREST = 50, 5  # an error lists all of at most 50 names, else the 5 nearest ones


class UserError(ValueError):
    """An input cannot be used. The message says what is wrong, what was expected, and what to do."""


class Stopped(Exception):
    """The user stopped the work. Nothing is lost; the message says how to continue."""


def unknown_name(what: str, received: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not in `known`. It suggests the nearest known name.

    Args:
        what: the kind of thing that is named, such as "method".
        received: the unknown name.
        known: all names that may be used.

    Examples:
        >>> str(unknown_name("fruit", "aple", ["apple", "pear"]))
        "Unknown fruit. Expected one of: apple, pear. Received: 'aple'. Did you mean 'apple'?"
    """
    known = sorted(known)
    close = difflib.get_close_matches(received, known, n=_NEAREST)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    names = ", ".join(known)
    if len(known) > _MOST_LISTED:
        names = f"{len(known)} names, such as {', '.join(close or known[:_NEAREST])}"
    return UserError(f"Unknown {what}. Expected one of: {names}. Received: {received!r}.{hint}")
