"""Fields of settings: a default, the help that `--help` shows, and the range that makes sense."""

from __future__ import annotations

import dataclasses
from typing import Any

from huse_tf.errors import UserError


def setting(
    default: Any, help: str, *, minimum: float | None = None, maximum: float | None = None
) -> Any:
    """A dataclass field that becomes a flag of the same name.

    Args:
        default: its value when nobody says otherwise.
        help: for `--help`.
        minimum, maximum: the range of a number, ends included; of each number in a tuple.
    """
    bounds = {"minimum": minimum, "maximum": maximum}
    return dataclasses.field(default=default, metadata={"help": help, **bounds})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of all settings; refuses numbers out of range, wherever they come from."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                self._check(field, number)

    def _check(self, field: dataclasses.Field, number: Any) -> None:
        low, high = field.metadata["minimum"], field.metadata["maximum"]
        if low is not None and not number >= low:
            raise UserError(f"--{field.name} must be at least {low}. Received: {number}.")
        if high is not None and not number <= high:
            raise UserError(f"--{field.name} must be at most {high}. Received: {number}.")
