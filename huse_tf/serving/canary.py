"""Canaries: requests that an export keeps with the answers that it gave, to show later that it still gives them.

`assets.extra/canary.json` is a list with an entry for each signature: its name, the request as TF Serving's REST
interface takes it (`inputs`), the answer as that interface gives it (`outputs`), and the largest difference of two
numbers that still counts as the same answer (`tolerance`).
"""

from __future__ import annotations

import base64
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.files import read_json, write_json
from huse_tf.serving.compare import compare_answers
from huse_tf.serving.exchange import Answer, Arrays, Question
from huse_tf.serving.names import STATUS
from huse_tf.serving.questions import questions
from huse_tf.serving.rest_values import B64, plain
from huse_tf.serving.restored import client_signatures

EXTRA = "assets.extra"  # TF Serving's name of the folder for files that no graph reads
CANARY = "canary.json"
# Between machines, where the order of additions and the decoder of images differ. A wrong weight shows at once.
TOLERANCE = 1e-3
ABOUT = "canary"
_COMPLETE = "two rows"  # the question of `questions` that has complete rows only
_CUT = 60  # bytes of a broken image


class Canary(NamedTuple):
    """A request and the answer that the export gave when it was written."""

    question: Question
    answer: Answer
    tolerance: float


def canary_questions(graph: MetaGraphDef) -> list[Question]:
    """One request for each signature: two complete rows and, if rows can fail alone, a broken one.

    The broken row has the beginning of an image file, or an empty text, or zeros.
    """
    return [
        each._replace(
            about=ABOUT,
            inputs=_with_broken_row(each.inputs) if STATUS in each.fetches else each.inputs,
        )
        for each in questions(graph)
        if each.about == _COMPLETE
    ]


def write_canaries(
    folder: pathlib.Path, asked: Sequence[Question], answers: Sequence[Answer]
) -> None:
    """Writes `canary.json` into the SavedModel in `folder`.

    Raises:
        UserError: an answer is an error, or holds NaN or an infinite number.
    """
    for question, answer in zip(asked, answers, strict=True):
        refuse_unusable(question, answer)
    entries = [
        {
            "signature": question.signature,
            "inputs": {name: plain(name, array) for name, array in question.inputs.items()},
            "outputs": {name: plain(name, array) for name, array in answer.outputs.items()},
            "tolerance": TOLERANCE,
        }
        for question, answer in zip(asked, answers, strict=True)
    ]
    write_json(folder / EXTRA / CANARY, entries)


def read_canaries(folder: pathlib.Path, graph: MetaGraphDef) -> list[Canary]:
    """The canaries of the SavedModel in `folder`; [] for an export that was not checked.

    Args:
        folder: the folder of the version.
        graph: its graph, whose signatures give the types of the tensors.

    Raises:
        UserError: the file is damaged, or belongs to other signatures.
    """
    path = folder / EXTRA / CANARY
    if not path.is_file():
        return []
    signatures = client_signatures(graph)
    try:
        entries = read_json(path)
        found = {entry["signature"] for entry in entries}
        if found != set(signatures):
            raise ValueError(f"canaries of {sorted(found)}")
        return [_canary(entry, signatures[entry["signature"]]) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{str(path)!r} is damaged. Expected a canary of each signature: {', '.join(signatures)}. "
            f"Received: {type(error).__name__}: {error}. Export the model again."
        ) from error


def refuse_changed(
    folder: pathlib.Path, canaries: Sequence[Canary], answers: Sequence[Answer], loader: str
) -> None:
    """Raises UserError if an answer differs from the canary by more than its tolerance.

    Args:
        folder: of the version, for the error.
        canaries: of the version.
        answers: to their questions, in the same order.
        loader: what gave the answers, for the error.
    """
    for canary, answer in zip(canaries, answers, strict=True):
        _, problem = compare_answers(canary.question, answer, canary.answer, canary.tolerance)
        if problem:
            raise UserError(
                f"{str(folder)!r} does not answer as it did when it was exported, so a file of it has changed. "
                f"Expected the answers in {EXTRA}/{CANARY}, to {canary.tolerance:.0e}. Received from {loader}, "
                f"for the signature {canary.question.signature}: {problem}. Do not serve it; export the model "
                "again, or restore a copy."
            )


def _canary(entry: dict[str, Any], signature: Any) -> Canary:
    def arrays(trees: dict[str, Any], tensors: Any) -> Arrays:
        return {name: _from_json(trees[name], tensors[name].dtype) for name in sorted(tensors)}

    question = Question(
        entry["signature"],
        ABOUT,
        arrays(entry["inputs"], signature.inputs),
        {name: info.name for name, info in sorted(signature.inputs.items())},
        {name: info.name for name, info in sorted(signature.outputs.items())},
    )
    answer = Answer(arrays(entry["outputs"], signature.outputs))
    return Canary(question, answer, float(entry["tolerance"]))


def refuse_unusable(question: Question, answer: Answer) -> None:
    """Raises UserError if an ordinary request has no answer, or one with numbers that are not finite."""
    if answer.code:
        raise UserError(
            f"The signature {question.signature} of the exported model refuses an ordinary request: "
            f"{answer.message[:300]}"
        )
    for name, array in answer.outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"The signature {question.signature} of the exported model answers an ordinary request with "
                f"numbers that are NaN or infinite, in {name}. Expected finite numbers, so training has "
                "diverged. Train again, for example with a lower --learning_rate."
            )


def _with_broken_row(inputs: Arrays) -> Arrays:
    return {name: np.concatenate([array, _broken(name, array)]) for name, array in inputs.items()}


def _broken(name: str, array: np.ndarray) -> np.ndarray:
    """[1, ...] a row that cannot be answered, like the first row of `array`."""
    row = array[:1].copy()
    if name == keys.IMAGE_BYTES:
        row[...] = b""
        row.flat[0] = array.flat[0][:_CUT]
    elif name == keys.TEXT:
        row[...] = b""
    elif row.dtype != object:
        row[...] = 0
    return row


def _from_json(tree: Any, kind: int) -> np.ndarray:
    dtype = tf.as_dtype(kind)
    if dtype != tf.string:
        return np.array(tree, dtype.as_numpy_dtype)

    def values(part: Any) -> Any:
        if isinstance(part, list):
            return [values(each) for each in part]
        return base64.b64decode(part[B64]) if isinstance(part, dict) else part.encode()

    return np.array(values(tree), object)
