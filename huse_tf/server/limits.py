"""Checks of a request's arrays against the signature and the limits, before the model sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import tensorflow as tf

from huse_tf.server.refusals import invalid
from huse_tf.server.server_settings import MIB, ServerSettings

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or an output of a signature.

    Attributes:
        dtype: of its values.
        shape: its sizes, None where free; None: any shape.
    """

    dtype: tf.DType
    shape: tuple[int | None, ...] | None

    @property
    def has_rows(self) -> bool:
        """Whether its first size is free: the batch."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None


Tensors = Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]
"""The inputs and the outputs of each signature, by name."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """The largest request that is computed.

    Attributes:
        bytes: of all values of an input.
        string: bytes of an image or of another string.
        rows: of the first size of an input.
    """

    bytes: int
    string: int
    rows: int

    @classmethod
    def of(cls, settings: ServerSettings) -> Limits:
        return cls(
            int(settings.max_body_mib * MIB), int(settings.max_image_mib * MIB), settings.max_rows
        )

    def check_names(self, given: Collection[str], tensors: Mapping[str, Tensor]) -> None:
        """Refuses inputs that are missing, and inputs that the signature does not have."""
        missing, extra = sorted(set(tensors) - set(given)), sorted(set(given) - set(tensors))
        if missing or extra:
            raise invalid(
                f"The inputs do not match the signature. Expected: {_listed(tensors)}. "
                f"Missing: {_listed(missing)}. Not known: {_listed(extra)}."
            )

    def check_size(self, name: str, shape: Sequence[int]) -> None:
        """Refuses a shape with too many rows or values, before memory is taken for it."""
        if any(size < 0 for size in shape):
            raise invalid(f"Input {name!r} has a negative size. Received shape: {list(shape)}.")
        if shape and shape[0] > self.rows:
            raise invalid(
                f"Input {name!r} has too many rows. Expected at most {self.rows}. Received: {shape[0]}. "
                "Send several requests."
            )
        count = 1
        for size in shape:  # Python's whole numbers do not overflow
            count *= size
        if count > self.bytes:
            raise invalid(f"Input {name!r} has too many values. Received shape: {list(shape)}.")

    def check_values(self, arrays: Arrays, tensors: Mapping[str, Tensor]) -> None:
        """Refuses arrays that do not fit the signature's types and shapes, and too long strings."""
        for name, array in arrays.items():
            tensor = tensors[name]
            self.check_size(name, array.shape)
            if not _fits(array.shape, tensor.shape):
                raise invalid(
                    f"Input {name!r} has the wrong shape. Expected {_shape(tensor.shape)}. Received: "
                    f"{list(array.shape)}."
                )
            if tensor.dtype == tf.string:
                self._check_strings(name, array)

    def _check_strings(self, name: str, array: np.ndarray) -> None:
        total = 0
        for place, value in enumerate(array.flat):
            total += len(value)
            if len(value) > self.string:
                where = np.unravel_index(place, array.shape)[0] if array.shape else 0
                raise invalid(
                    f"Input {name!r} has too long a value in row {where}. Expected at most {self.string} "
                    f"bytes. Received: {len(value)}."
                )
        if total > self.bytes:
            raise invalid(
                f"Input {name!r} is too large. Expected at most {self.bytes} bytes. Received: {total}."
            )


def _fits(shape: Sequence[int], expected: Sequence[int | None] | None) -> bool:
    if expected is None:
        return True
    return len(shape) == len(expected) and all(
        size in (None, mine) for mine, size in zip(shape, expected, strict=True)
    )


def _shape(expected: Sequence[int | None] | None) -> str:
    if expected is None:
        return "any shape"
    return f"[{', '.join('any' if size is None else str(size) for size in expected)}]"


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name[:100]) for name in sorted(names)[:20]) or "none"
