"""The JSON of TF Serving's REST interface: requests to arrays, and arrays to answers.

`instances` holds a value or an object for each row, `inputs` all rows of each input. Bytes are `{"b64": …}`.
NaN, Infinity and -Infinity may stand where numbers do, in requests and answers, as in TF Serving.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from huse_tf.server.limits import Arrays, Limits, Tensor
from huse_tf.server.refusals import invalid
from huse_tf.serving.rest_values import B64, plain

_DEEPEST = 16


@dataclasses.dataclass(frozen=True)
class Question:
    """The body of a `:predict`.

    Attributes:
        signature: its name, or "" for the default.
        by_rows: whether it has `instances`, so that the answer has `predictions`.
        values: what stands under `instances` or `inputs`.
    """

    signature: str
    by_rows: bool
    values: Any


def read_question(body: bytes) -> Question:
    """Parses a body; raises Refused."""
    try:
        tree = json.loads(body)
    except RecursionError as error:
        raise invalid("JSON Parse error: the lists are nested too deeply.") from error
    except ValueError as error:  # also bytes that are no UTF-8, and too long numbers
        said = str(error) if isinstance(error, json.JSONDecodeError) else "not a text in UTF-8"
        raise invalid(f"JSON Parse error: {said[:200]}. Expected one JSON object.") from error
    if not isinstance(tree, dict):
        raise invalid(f"The body is not an object. Received: {_kind(tree)}.")
    signature = tree.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid(f"'signature_name' must be a string. Received: {_kind(signature)}.")
    if "instances" in tree and "inputs" in tree:
        raise invalid("Expected only one of 'inputs' or 'instances'. Received both.")
    if "instances" in tree:
        if not isinstance(tree["instances"], list):
            raise invalid(
                f"Expected 'instances' to be a list. Received: {_kind(tree['instances'])}."
            )
        if not tree["instances"]:
            raise invalid("No values in 'instances'.")
        return Question(signature, True, tree["instances"])
    if "inputs" in tree:
        return Question(signature, False, tree["inputs"])
    raise invalid("Missing 'inputs' or 'instances' key.")


def read_inputs(question: Question, tensors: Mapping[str, Tensor], limits: Limits) -> Arrays:
    """The arrays of a question.

    Raises:
        Refused: the values do not fit the signature.
    """
    columns = (_of_rows if question.by_rows else _of_columns)(question.values, tensors, limits)
    limits.check_names(columns, tensors)
    arrays = {}
    for name in sorted(tensors):
        array = _array(name, columns[name], tensors[name], limits)
        shape = tensors[name].shape or ()
        if array.shape == (0,) and len(shape) > 1:  # no rows: JSON cannot tell the other sizes
            array = array.reshape([0, *(size or 0 for size in shape[1:])])
        arrays[name] = array
    return arrays


def _of_rows(values: list[Any], tensors: Mapping[str, Tensor], limits: Limits) -> dict[str, Any]:
    if len(values) > limits.rows:
        raise invalid(
            f"Too many rows. Expected at most {limits.rows}. Received: {len(values)}. Send several requests."
        )
    named = _is_named(values[0])
    if not named and len(tensors) > 1:
        raise invalid(
            "'instances' is a plain list. Expected a list of objects, because the signature has the inputs "
            f"{', '.join(sorted(tensors))}."
        )
    columns: dict[str, list[Any]] = {name: [] for name in tensors}
    for row, value in enumerate(values):
        if _is_named(value) != named:
            raise invalid(f"Row {row} of 'instances': expected all rows to be objects, or none.")
        if named and set(value) != set(tensors):
            raise invalid(
                f"Row {row} of 'instances': its keys must be {', '.join(sorted(tensors))}. Received: "
                f"{', '.join(sorted(key[:100] for key in value)[:20])}."
            )
        for name in tensors:
            columns[name].append(value[name] if named else value)
    return columns


def _of_columns(values: Any, tensors: Mapping[str, Tensor], limits: Limits) -> dict[str, Any]:
    if _is_named(values):
        return dict(values)
    if len(tensors) > 1:
        raise invalid(
            "'inputs' is a plain value. Expected an object, because the signature has the inputs "
            f"{', '.join(sorted(tensors))}."
        )
    return dict.fromkeys(tensors, values)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not (set(value) == {B64} and isinstance(value[B64], str))


def _array(name: str, value: Any, tensor: Tensor, limits: Limits) -> np.ndarray:
    shape = _shape(name, value)
    limits.check_size(name, shape)
    leaves: list[Any] = []
    _collect(name, value, shape, 0, leaves)
    if tensor.dtype == tf.string:
        array = np.empty(len(leaves), object)
        array[:] = [_bytes(name, leaf) for leaf in leaves]
        return array.reshape(shape)
    return _numbers(name, leaves, tensor.dtype).reshape(shape)


def _shape(name: str, value: Any) -> list[int]:
    """The sizes of nested lists, going by the first element of each."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > _DEEPEST:
            raise invalid(
                f"Input {name!r} is nested too deeply. Expected at most {_DEEPEST} lists."
            )
        value = value[0] if value else None
    return shape


def _collect(name: str, value: Any, shape: list[int], level: int, leaves: list[Any]) -> None:
    if level == len(shape):
        if isinstance(value, list):
            raise invalid(f"Input {name!r}: a list stands where a value does in the first row.")
        leaves.append(value)
    elif not isinstance(value, list) or len(value) != shape[level]:
        received = f"{len(value)} values" if isinstance(value, list) else _kind(value)
        raise invalid(
            f"Input {name!r} is uneven: all rows must have one shape. Expected lists of {shape[level]} values "
            f"at level {level}, as in the first row. Received: {received}."
        )
    else:
        for each in value:
            _collect(name, each, shape, level + 1, leaves)


def _bytes(name: str, leaf: Any) -> bytes:
    if isinstance(leaf, str):
        try:
            return leaf.encode()
        except UnicodeEncodeError as error:
            raise invalid(
                f"Input {name!r} has half a surrogate pair, which is no text. Send it as {{'b64': …}}."
            ) from error
    if isinstance(leaf, dict) and not _is_named(leaf):
        try:
            return base64.b64decode(leaf[B64], validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(f"Input {name!r} has a broken 'b64' value ({error}).") from error
    raise invalid(f"Input {name!r} must hold strings or {{'b64': …}}. Received: {_kind(leaf)}.")


def _numbers(name: str, leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    fit: Callable[[Any], bool]
    if dtype.is_bool:
        expected, fit = "true or false", lambda leaf: isinstance(leaf, bool)
    elif dtype.is_integer:
        expected = f"whole numbers from {dtype.min} to {dtype.max}"
        fit = lambda leaf: type(leaf) is int and dtype.min <= leaf <= dtype.max  # noqa: E731
    elif dtype.is_floating:
        expected = f"numbers that {dtype.name} holds"
        fit = lambda leaf: _is_number(leaf, float(dtype.max))  # noqa: E731
    else:
        raise invalid(f"Input {name!r} is of type {dtype.name}, which JSON cannot hold. Use gRPC.")
    for leaf in leaves:
        if not fit(leaf):
            received = repr(leaf)[:50] if isinstance(leaf, int | float) else _kind(leaf)
            raise invalid(f"Input {name!r} must hold {expected}. Received: {received}.")
    return np.array(leaves, dtype.as_numpy_dtype)


def _is_number(leaf: Any, most: float) -> bool:
    if type(leaf) is int:
        return -most <= leaf <= most
    return type(leaf) is float and (not np.isfinite(leaf) or -most <= leaf <= most)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def write_answer(arrays: Arrays, by_rows: bool) -> bytes:
    """The body of an answer. One output is written without its name.

    Raises:
        Refused: rows are asked for, but the outputs have none.
    """
    columns = {name: plain(name, array) for name, array in arrays.items()}
    if not by_rows:
        only = next(iter(columns.values())) if len(columns) == 1 else columns
        return _text({"outputs": only})
    sizes = {array.shape[0] if array.shape else None for array in arrays.values()}
    if len(sizes) != 1 or None in sizes:
        raise invalid(
            "The outputs of this signature have no common rows. Ask with 'inputs' in place of 'instances'."
        )
    if len(columns) == 1:
        return _text({"predictions": next(iter(columns.values()))})
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _text({"predictions": rows})


def _text(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


def dumped(tree: Any) -> str:
    """Status and metadata, for people too."""
    return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


def error_body(sentence: str) -> bytes:
    """The body of a refusal.

    Examples:
        >>> error_body("Too long.")
        b'{"error":"Too long."}'
    """
    return _text({"error": sentence.encode("utf-8", "replace").decode()})
