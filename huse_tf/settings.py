"""Settings as frozen dataclasses: each setting is a flag, with a default, a help text and a range.

A class of settings may hold others, its parts. Their settings count as its own: `leaves` lists them under
their plain names, `flat` reads them and `replaced` changes them, wherever they lie.

Examples:
        >>> from huse_tf.methods.huse import Huse
        >>> method = Huse.of(dropout=0.3)  # a setting of its part `towers`
        >>> method.towers.dropout, flat(method)["dropout"]
        (0.3, 0.3)
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any, Self, TypeVar

from huse_tf.errors import UserError, unknown_name


def setting(
    default: Any, help: str, *, minimum: float | None = None, maximum: float | None = None
) -> Any:
    """A dataclass field that becomes a flag of the same name.

    Args:
        default: the value where the user gives none.
        help: for `--help`.
        minimum, maximum: the range of a number, ends included; of each number in a tuple.
    """
    bounds = {"minimum": minimum, "maximum": maximum}
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of all settings. A number out of range is refused, wherever it comes from.

    Raises:
        UserError: a number is out of the range of its setting.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Settings):
                for number in value if isinstance(value, tuple) else (value,):
                    _check(field, number)

    @classmethod
    def of(cls, **changes: Any) -> Self:
        """The defaults with these settings changed, also settings of parts.

        Raises:
            UserError: an unknown name, or a number out of range.
        """
        return replaced(cls(), **changes)


def _check(field: dataclasses.Field[Any], number: Any) -> None:
    low, high = field.metadata["minimum"], field.metadata["maximum"]
    if low is not None and not number >= low:
        raise UserError(f"--{field.name} must be at least {low}. Received: {number}.")
    if high is not None and not number <= high:
        raise UserError(f"--{field.name} must be at most {high}. Received: {number}.")


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One setting of a class of settings, or of a part of it.

    Attributes:
        name: of the flag.
        default: the value in an instance without arguments.
        type: the annotation, evaluated.
        help: for `--help`.
        maximum: the largest value, or None.
    """

    name: str
    default: Any
    type: Any
    help: str
    maximum: float | None


def leaves(kind: type[Settings]) -> dict[str, Leaf]:
    """The settings of a class and of its parts, by name.

    Raises:
        TypeError: two of them have one name.
    """
    if kind not in _LEAVES:
        _LEAVES[kind] = _leaves(kind)
    return _LEAVES[kind]


_LEAVES: dict[
    type[Settings], dict[str, Leaf]
] = {}  # they are asked for hundreds of times by --help


def _leaves(kind: type[Settings]) -> dict[str, Leaf]:
    found: dict[str, Leaf] = {}
    types: dict[type, dict[str, Any]] = {}  # evaluating annotations is half the time of --help
    for section, field in _walk(kind()):
        if type(section) not in types:
            types[type(section)] = typing.get_type_hints(type(section))
        if field.name in found:
            raise TypeError(f"{kind.__name__} has two settings named {field.name!r}.")
        found[field.name] = Leaf(
            field.name,
            getattr(section, field.name),
            types[type(section)][field.name],
            field.metadata["help"],
            field.metadata["maximum"],
        )
    return found


def flat(section: Settings) -> dict[str, Any]:
    """The value of each setting, parts included, by name."""
    return {field.name: getattr(owner, field.name) for owner, field in _walk(section)}


_Section = TypeVar("_Section", bound=Settings)


def replaced(section: _Section, **changes: Any) -> _Section:
    """A copy with these settings changed, whichever part they are of.

    Raises:
        UserError: an unknown name, or a number out of range.
    """
    known = flat(section)
    for name in changes:
        if name not in known:
            raise unknown_name(f"setting of {type(section).__name__}", name, known)
    return _replaced(section, changes)


def _replaced(section: _Section, changes: dict[str, Any]) -> _Section:
    own = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Settings):
            own[field.name] = _replaced(value, changes)
        elif field.name in changes:
            own[field.name] = changes[field.name]
    return dataclasses.replace(section, **own)


def _walk(section: Settings) -> Iterator[tuple[Settings, dataclasses.Field[Any]]]:
    """Each setting with the section or part that it is a field of."""
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Settings):
            yield from _walk(value)
        else:
            yield section, field
