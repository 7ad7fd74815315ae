"""Sends questions to a loader in another process and receives its answers, as JSON files.

Nothing here imports TensorFlow, because the process of the C++ loader must not.
"""

from __future__ import annotations

import base64
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from huse_tf.files import read_json, write_json

# Name -> array. Strings are arrays of dtype object that hold bytes.
Arrays: TypeAlias = dict[str, np.ndarray]


class Question(NamedTuple):
    """One call of a signature.

    Attributes:
        signature: name of the signature.
        about: description of the case, for error messages.
        inputs: the arguments by name.
        feeds, fetches: name of an input or output -> name of its tensor in the graph.
        refusable: whether an error is a valid answer.
    """

    signature: str
    about: str
    inputs: Arrays
    feeds: dict[str, str]
    fetches: dict[str, str]
    refusable: bool = False


class Answer(NamedTuple):
    """The result of one call.

    Attributes:
        outputs: the outputs by name; empty if the call failed.
        code: 0, or the error code of TensorFlow (absl's codes).
        message: the error message.
    """

    outputs: Arrays
    code: int = 0
    message: str = ""


def main(load: Callable[[str], Callable[[Question], Answer]]) -> None:
    """Runs a loader as `python -m LOADER FOLDER QUESTIONS.json ANSWERS.json`.

    Args:
        load: takes the SavedModel's folder and returns the function that answers a question.
    """
    folder, questions, answers = sys.argv[1:]
    ask = load(folder)
    write_answers(
        pathlib.Path(answers), [ask(each) for each in read_questions(pathlib.Path(questions))]
    )


def write_questions(path: pathlib.Path, questions: Sequence[Question]) -> None:
    """Writes questions as JSON."""
    write_json(path, [{**each._asdict(), "inputs": _to_json(each.inputs)} for each in questions])


def read_questions(path: pathlib.Path) -> list[Question]:
    """Reads the file of `write_questions`."""
    return [Question(**{**each, "inputs": _from_json(each["inputs"])}) for each in read_json(path)]


def write_answers(path: pathlib.Path, answers: Sequence[Answer]) -> None:
    """Writes answers as JSON."""
    # Answers may hold NaN, which `write_json` refuses.
    trees = [{**each._asdict(), "outputs": _to_json(each.outputs)} for each in answers]
    path.write_text(json.dumps(trees), encoding="utf-8")


def read_answers(path: pathlib.Path) -> list[Answer]:
    """Reads the file of `write_answers`."""
    return [Answer(**{**each, "outputs": _from_json(each["outputs"])}) for each in read_json(path)]


def _to_json(arrays: Arrays) -> dict[str, Any]:
    def tree(array: np.ndarray) -> dict[str, Any]:
        values = array.ravel().tolist()
        if array.dtype == object:
            values = [base64.b64encode(value).decode() for value in values]
        return {"dtype": array.dtype.name, "shape": array.shape, "values": values}

    return {name: tree(array) for name, array in arrays.items()}


def _from_json(trees: dict[str, Any]) -> Arrays:
    def array(tree: dict[str, Any]) -> np.ndarray:
        values = tree["values"]
        if tree["dtype"] == "object":
            values = [base64.b64decode(value) for value in values]
        return np.array(values, tree["dtype"]).reshape(tree["shape"])

    return {name: array(tree) for name, tree in trees.items()}
