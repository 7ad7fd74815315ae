"""Requests that a new version must answer before it is served: its canary, or two equal answers of each signature."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

from huse_tf.errors import UserError
from huse_tf.files import read_json
from huse_tf.server import rest_json
from huse_tf.server.limits import Arrays, Limits, Tensor
from huse_tf.server.refusals import Refused
from huse_tf.serving.questions import questions

CANARY = pathlib.PurePath("assets.extra", "canary.json")
TOLERANCE = 1e-3  # between two processors; a wrong model is further away
_ANY = Limits(2**31, 2**31, 2**20)

Ask = Callable[[str, Arrays], Arrays]
Tensors = Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]


def check_canary(folder: pathlib.Path, graph: MetaGraphDef, tensors: Tensors, ask: Ask) -> int:
    """Asks a version what its canary holds. A version without one must answer twice the same.

    Args:
        folder: of the version.
        graph: of the version.
        tensors: the inputs and outputs of each signature.
        ask: (name of a signature, inputs) -> outputs.

    Returns:
        How many requests were answered as expected.

    Raises:
        UserError: an answer differs, or there is none.
    """
    path = folder / CANARY
    if not path.is_file():
        return _check_repeated(graph, ask)
    count = 0
    for each in _requests(path):
        name = each["signature"]
        if name not in tensors:
            raise UserError(f"{path} asks the signature {name!r}, which the model does not have.")
        inputs, outputs = tensors[name]
        try:
            question = rest_json.Question(name, False, each["inputs"])
            expected = rest_json.read_inputs(
                rest_json.Question(name, False, each["outputs"]), outputs, _ANY
            )
            received = ask(name, rest_json.read_inputs(question, inputs, _ANY))
        except Refused as error:
            raise UserError(f"{name} refused the canary: {error.sentence}") from error
        _compare(name, received, expected, each["tolerance"])
        count += 1
    if not count:
        raise UserError(f"{path} is empty. Expected a request of each signature.")
    return count


def _requests(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The requests of a canary: a list of objects, or an object that holds them by signature."""
    try:
        tree = read_json(path)
        for each in tree.values() if isinstance(tree, dict) else tree:
            needed = {key: each[key] for key in ("signature", "inputs", "outputs")}
            yield needed | {"tolerance": float(each.get("tolerance", TOLERANCE))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged. Expected requests with signature, inputs and outputs. Received: {error!r}."
        ) from error


def _check_repeated(graph: MetaGraphDef, ask: Ask) -> int:
    count = 0
    for question in questions(graph):
        if question.refusable:
            continue
        try:
            first, second = (ask(question.signature, question.inputs) for _ in range(2))
        except Refused as error:
            raise UserError(f"{question.signature} refused a request: {error.sentence}") from error
        _compare(question.signature, second, first, TOLERANCE)
        for name, array in first.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UserError(f"{question.signature} answered {name!r} with NaN or infinity.")
        count += 1
    return count


def _compare(signature: str, received: Arrays, expected: Arrays, tolerance: float) -> None:
    for name, mine in expected.items():
        theirs = received.get(name)
        if theirs is None:
            raise UserError(f"{signature} has no output {name!r}, which the canary expects.")
        if theirs.shape != mine.shape:
            raise UserError(
                f"{signature} answered {name!r} with the wrong shape. Expected {list(mine.shape)}. Received: "
                f"{list(theirs.shape)}."
            )
        if mine.dtype.kind == "f":
            difference = float(np.max(np.abs(theirs - mine), initial=0))
            if not difference <= tolerance:
                raise UserError(
                    f"{signature} answered {name!r} with wrong numbers. Expected equal to {tolerance:g}. "
                    f"Largest difference: {difference:.3g}."
                )
        elif not np.array_equal(theirs, mine):
            raise UserError(f"{signature} answered {name!r} with other values than expected.")
