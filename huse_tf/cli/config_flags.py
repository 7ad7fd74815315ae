"""Settings from the command line: every field of a section, and of every method, is one flag.

A flag wins over the preset of a method, and the preset over the defaults.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

from absl import flags

from huse_tf import plugins
from huse_tf.cli.flag_help import method_help, section_default, section_help, split_variant
from huse_tf.config import Config
from huse_tf.errors import UserError, unknown_name
from huse_tf.methods import METHODS, find_method, method_name
from huse_tf.methods.base import Method
from huse_tf.sections import SECTIONS
from huse_tf.settings import Leaf, Settings, flat, leaves, replaced

_Section = TypeVar("_Section", bound=Settings)
_OF_THE_RUN = ("seed", "run_dir")  # a comparison gives each of its runs its own

flags.disclaim_key_flags()  # flags belong to the command that asks for them, for its --help


def define_flags(
    *sections: str,
    method: bool = False,
    shown: type[Method] | None = None,
    outside: Sequence[type[Method]] = (),
    values: flags.FlagValues = flags.FLAGS,
) -> None:
    """Defines flags. Their defaults are for --help; only flags that are given change settings.

    Args:
        sections: names of sections (sections.SECTIONS) whose settings are flags.
        method: whether --method and the settings of all methods are flags too.
        shown: the only method of them, for its own --help (`flag_help.method_to_show`).
        outside: methods from outside the package (`flag_help.methods_from_outside`).
        values: takes the flags.

    Raises:
        UserError: a method from outside has a setting with the name of another flag.
    """
    for section in sections:
        for leaf in leaves(SECTIONS[section]).values():
            help = section_help(section, leaf, shown) if method else f"[{section}] {leaf.help}"
            _define(leaf, section_default(leaf, shown), help, values)
    if not method:
        return
    name = method_name(shown) if shown else "huse"
    flags.DEFINE_flag(_MethodFlag(name), flag_values=values)
    for leaf in _method_leaves(*([shown] if shown else [*outside, *METHODS.values()])).values():
        if leaf.name in values:
            raise UserError(
                f"A setting of {' or '.join(map(method_name, outside))} has the name of another flag, "
                f"--{leaf.name}. Expected another name."
            )
        if shown:
            _define(leaf, leaf.default, f"[{name}] {leaf.help}", values)
        else:
            _define(leaf, None, method_help(leaf.name, outside), values)


def define_settings(kind: type[Settings], values: flags.FlagValues = flags.FLAGS) -> None:
    """Makes a flag of each setting of a command that has settings of its own; see `with_flags`."""
    for leaf in leaves(kind).values():
        _define(leaf, leaf.default, leaf.help, values)


class _MethodFlag(flags.EnumFlag):
    """--method: one of `METHODS`, or a method from outside the package."""

    def __init__(self, default: str) -> None:
        help = (
            "The method, or a preset of one. --method=NAME --help shows its settings and defaults only. "
            "Also MODULE:CLASS of your own."
        )
        names = [*sorted(METHODS), *sorted(plugins.installed(plugins.METHODS))]
        super().__init__("method", names[0], help, names)
        self.parser = _MethodParser(names)
        self._set_default(default)
        self.value = default
        self.present = 0


class _MethodParser(flags.EnumParser):
    def parse(self, argument: str) -> str:
        if argument not in METHODS and plugins.head(plugins.METHODS, argument) == argument:
            return argument
        return super().parse(argument)


def _method_leaves(*methods: type[Method]) -> dict[str, Leaf]:
    """The settings of these methods by name; of several with one name the first."""
    found: dict[str, Leaf] = {}
    for method in methods:
        found = leaves(method) | found
    return found


def _define(leaf: Leaf, default: Any, help: str, values: flags.FlagValues) -> None:
    hint = leaf.type
    define: dict[type, Callable[..., Any]] = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    if typing.get_origin(hint) is Literal:
        flags.DEFINE_enum(leaf.name, default, list(typing.get_args(hint)), help, values)
    elif typing.get_origin(hint) is tuple:
        words = None if default is None else [str(value) for value in default]
        flags.DEFINE_list(leaf.name, words, help, values)
    else:
        define[hint](leaf.name, default, help, flag_values=values)


def from_flags(base: Config | None = None, values: flags.FlagValues = flags.FLAGS) -> Config:
    """The settings that the parsed flags describe.

    Args:
        base: where settings come from that no flag gives (the config of a finished run). Without
            it: the defaults, under the method's preset.
        values: absl's parsed flags.
    """
    method_kind = (
        find_method(str(values["method"].value))
        if "method" in values
        else type((base or Config()).method)
    )
    _allow_encoders(values)
    _check_owned([method_kind], values)
    return _from_flags(method_kind, base or Config.from_preset(method_kind), values)


def variants_from_flags(
    specs: Sequence[str], values: flags.FlagValues = flags.FLAGS
) -> dict[str, Config]:
    """The settings of several methods under the same flags, by spec; --method is passed over.

    Args:
        specs: NAME or NAME:SETTING=VALUE:..., where NAME can be MODULE:CLASS. The setting is one of the
            method, of features or of training, its value written as for its flag, the values of a list
            joined by +.
        values: absl's parsed flags. A setting of a method goes to all of these that have it.
    """
    if not specs or len(set(specs)) < len(specs):
        raise UserError(
            f"--methods are different methods, at least one. Received: {','.join(specs)!r}. Known: "
            f"{', '.join(METHODS)}."
        )
    kinds = {}
    for spec in specs:
        plugins.allow(spec)
        kinds[spec] = find_method(split_variant(spec)[0])
    _allow_encoders(values)
    _check_owned(kinds.values(), values)
    return {
        spec: _varied(_from_flags(kind, Config.from_preset(kind), values), spec)
        for spec, kind in kinds.items()
    }


def variant_settings(spec: str) -> tuple[str, ...]:
    """The names of the settings that a variant, NAME:SETTING=VALUE:..., gives."""
    return tuple(part.partition("=")[0] for part in _assignments(spec))


def _assignments(spec: str) -> list[str]:
    """Each SETTING=VALUE of a variant."""
    _, colon, settings = split_variant(spec)[1].partition(":")
    # A colon that no SETTING= follows is of the value, as in class_encoder=random:384.
    return re.split(r":(?=\w+=)", settings) if colon else []


def _varied(config: Config, spec: str) -> Config:
    """The settings, changed as the spec says."""
    sections = {name: getattr(config, name) for name in ("method", "features", "training")}
    owners = {
        leaf: name
        for name, section in sections.items()
        for leaf in flat(section)
        if leaf not in _OF_THE_RUN
    }
    changes: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for part in _assignments(spec):
        name, equals, text = part.partition("=")
        if name not in owners:
            raise unknown_name(f"setting of {config.method.name}", name, owners)
        if not equals:
            raise UserError(f"In --methods={spec}, expected {name}=VALUE.")
        owner = owners[name]
        try:
            value = _parsed(leaves(type(sections[owner]))[name].type, text)
        except ValueError as error:
            raise UserError(
                f"In --methods={spec}, {name} is written like its flag. Received: {text!r}."
            ) from error
        changes[owner][name] = value
    varied = {name: replaced(sections[name], **changes[name]) for name in sections}
    return dataclasses.replace(config, **varied)


def _parsed(hint: Any, text: str) -> Any:
    if typing.get_origin(hint) is tuple:
        return tuple(typing.get_args(hint)[0](each) for each in text.split("+") if each)
    if typing.get_origin(hint) is Literal:
        if text not in typing.get_args(hint):
            raise ValueError(text)
        return text
    if hint is bool:
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    return hint(text)


def _check_owned(kinds: Iterable[type[Method]], values: flags.FlagValues) -> None:
    """Refuses settings of other methods than these."""
    kinds = list(kinds)
    names = " or ".join(repr(method_name(kind)) for kind in kinds)
    known = {name: None for kind in kinds for name in leaves(kind)}
    for name in _method_leaves(*METHODS.values()):
        if name in values and values[name].present and name not in known:
            raise UserError(
                f"--{name} is not a setting of method {names}. Expected one of: {', '.join(known)}."
            )


def _allow_encoders(values: flags.FlagValues) -> None:
    """Encoders that the command line names may be imported."""
    for name in ("image_encoder", "text_encoder", "class_encoder"):
        if name in values and values[name].present:
            plugins.allow(str(values[name].value))


def _from_flags(kind: type[Method], base: Config, values: flags.FlagValues) -> Config:
    sections = {name: with_flags(getattr(base, name), values) for name in SECTIONS}
    method = with_flags(base.method if type(base.method) is kind else kind(), values)
    return Config(method=method, **sections)


def with_flags(section: _Section, values: flags.FlagValues) -> _Section:
    """The settings, changed by the flags that are given; raises UserError for a value that is refused."""
    changes: dict[str, Any] = {}
    for name, leaf in leaves(type(section)).items():
        if name in values and values[name].present:
            value: Any = values[name].value
            if typing.get_origin(leaf.type) is tuple:
                item = typing.get_args(leaf.type)[0]
                try:
                    value = tuple(item(v) for v in value)
                except ValueError as error:
                    raise UserError(
                        f"--{name} takes a comma-separated list of {item.__name__}. Received: {value}."
                    ) from error
            changes[name] = value
    return replaced(section, **changes)
