"""Methods and encoders from outside this package: installed ones by name, and any by MODULE:CLASS.

A name in settings may be data from somebody else: a run folder holds the settings of its run. So settings
never cause an import by themselves. `find` loads an entry point, which the user has installed, and
MODULE:CLASS only where the user named the module in this process: on the command line (`allow`), or by
importing it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import re
import sys
from typing import Any

from huse_tf.errors import UserError

METHODS = "huse_tf.methods"
ENCODERS = "huse_tf.encoders"

_CLASS = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)(?=:|$)")
_allowed: set[str] = set()


def allow(text: str) -> None:
    """Lets `find` import the modules that this text names, for it comes from the user's command line."""
    _allowed.update(re.findall(r"[A-Za-z_][\w.]*", text))


def import_module(name: str) -> None:
    """Imports a module that the user names.

    Raises:
        UserError: it cannot be imported.
    """
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"Module {name!r} cannot be imported: {error}. Expected a module on the Python path, which "
            "begins with the folder that the command runs in."
        ) from error


@functools.cache
def installed(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of a group, `METHODS` or `ENCODERS`, by name."""
    return {each.name: each for each in importlib.metadata.entry_points(group=group)}


def head(group: str, spec: str) -> str | None:
    """The name that `spec` begins with, if it is one from outside: an entry point, or MODULE:CLASS.

    Nothing is imported. `spec` may go on with a colon and arguments.
    """
    name = spec.partition(":")[0]
    if name in installed(group):
        return name
    match = _CLASS.match(spec)
    return match[0] if match and _exists(match[1]) else None


def check(name: str) -> None:
    """Refuses MODULE:CLASS whose module nobody asked for. `name` is from `head`.

    Raises:
        UserError: the module is not imported, and was not named on the command line.
    """
    module = name.partition(":")[0]
    if ":" in name and module not in sys.modules and module not in _allowed:
        raise UserError(
            f"{name} is code outside huse_tf, and is not run just because settings name it. If you trust "
            f"it, add --import_modules={module} to the command, or `import {module}` in Python."
        )


def find(group: str, spec: str) -> tuple[Any, str] | None:
    """The object that `spec` names from outside, and the name that it goes by.

    Args:
        group: `METHODS` or `ENCODERS`.
        spec: `NAME` of an entry point or `MODULE:CLASS`, perhaps with a colon and arguments behind it.

    Returns:
        None where `spec` begins with no name from outside.

    Raises:
        UserError: it cannot be imported, or nobody asked for the module.
    """
    name = head(group, spec)
    if name is None:
        return None
    check(name)
    if ":" not in name:
        entry = installed(group)[name]
        module, attribute = entry.module, entry.attr
    else:
        module, _, attribute = name.partition(":")
    import_module(module)
    found: Any = sys.modules[module]
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UserError(f"{name}: module {module!r} has no {attribute!r}.")
        found = getattr(found, part)
    return found, name


def _exists(module: str) -> bool:
    """Whether a module may be meant: one that is imported, or whose first package can be."""
    first = module.partition(".")[0]
    return module in sys.modules or "." in module or importlib.util.find_spec(first) is not None
