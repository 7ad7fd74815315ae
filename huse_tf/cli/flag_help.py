"""The defaults in `--help`: of the method that is asked for, or of every method.

One flag can be a setting of several methods, with another meaning and another default in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import flags

from huse_tf import plugins
from huse_tf.methods import METHODS, find_method
from huse_tf.methods.base import Method
from huse_tf.settings import Leaf, leaves

_HELP = {"help", "helpshort", "helpfull", "helpxml", "?"}


def method_to_show(arguments: Sequence[str]) -> type[Method] | None:
    """The method that these arguments ask for help on, by --method or a --flagfile that names one.

    None where they ask for no help, or name no method.
    """
    asked = {each.lstrip("-").partition("=")[0] for each in arguments if each.startswith("-")}
    if not asked & _HELP:
        return None
    name = _named(arguments)[0]
    return find_method(name) if name in METHODS or _from_outside(name) else None


def methods_from_outside(arguments: Sequence[str]) -> list[type[Method]]:
    """The methods outside the package that --method or --methods name, for their settings are flags too.

    This imports them: the arguments are the user's.

    Raises:
        UserError: one cannot be imported, or is no method.
    """
    method, methods = _named(arguments)
    names = [method, *(split_variant(spec)[0] for spec in methods.split(","))]
    for name in names:
        plugins.allow(name)
    return [find_method(name) for name in dict.fromkeys(names) if _from_outside(name)]


def split_variant(spec: str) -> tuple[str, str]:
    """(method, settings) of NAME, NAME:SETTING=VALUE:... or MODULE:CLASS:SETTING=VALUE:..."""
    name = spec.partition(":")[0]
    if name not in METHODS:
        name = plugins.head(plugins.METHODS, spec) or name
    return name, spec[len(name) :]


def _from_outside(name: str) -> bool:
    return name not in METHODS and plugins.head(plugins.METHODS, name) == name


def _named(arguments: Sequence[str]) -> tuple[str, str]:
    """The values of --method and of --methods, "" where they are not given."""
    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # a value can stand apart from its flag
    for flag in ("method", "methods"):
        flags.DEFINE_string(flag, "", "", flag_values=values)
    try:
        values(["", *arguments], known_only=True)
    except flags.Error:
        return "", ""  # the parser of all flags reports the error
    return str(values["method"].value), str(values["methods"].value)


def section_default(leaf: Leaf, method: type[Method] | None) -> Any:
    """The default of a section's setting, under the method's preset."""
    return (method.preset if method else {}).get(leaf.name, leaf.default)


def section_help(section: str, leaf: Leaf, method: type[Method] | None) -> str:
    """The help of a section's setting; without a method, with the defaults of all presets."""
    text = f"[{section}] {leaf.help}"
    presets = {each.name: each.preset for each in METHODS.values() if leaf.name in each.preset}
    if method is not None or not presets:
        return text
    values = {name: preset[leaf.name] for name, preset in presets.items()}
    return f"{text} Presets: {_by_value(values)}."


def method_help(name: str, outside: Sequence[type[Method]] = ()) -> str:
    """The help of a setting of methods: each help text with its methods and their defaults."""
    meanings: dict[str, dict[str, Any]] = {}
    for method in (*METHODS.values(), *outside):
        leaf = leaves(method).get(name)
        if leaf is not None:
            meanings.setdefault(leaf.help, {})[method.name] = leaf.default
    return "\n".join(
        f"[{', '.join(values)}] {text} Default: {_told(values)}."
        for text, values in meanings.items()
    )


def _told(values: dict[str, Any]) -> str:
    different = {_text(value) for value in values.values()}
    return different.pop() if len(different) == 1 else _by_value(values)


def _by_value(values: dict[str, Any]) -> str:
    """Methods by their value: "huse, huse_p 0.7; triplet 0.2"."""
    names: dict[str, list[str]] = {}
    for name, value in values.items():
        names.setdefault(_text(value), []).append(name)
    return "; ".join(f"{', '.join(each)} {value}" for value, each in names.items())


def _text(value: Any) -> str:
    """A value as its flag has it."""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return (str(value).lower() if isinstance(value, bool) else str(value)) or "''"
