"""What is asked of a loader in a process of its own, and what it answers; as JSON, without TensorFlow."""

from __future__ import annotations

import base64
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from huse_tf.files import read_json, write_json

# By name. Strings are arrays of objects, each of them bytes.
Arrays: TypeAlias = dict[str, np.ndarray]


class Question(NamedTuple):
    """One call of a signature.

    Attributes:
        signature: its name.
        about: what is tried, for people.
        inputs: what is sent.
        feeds, fetches: names of the inputs' and outputs' tensors in the graph, by name.
        refusable: whether an error is a good answer.
    """

    signature: str
    about: str
    inputs: Arrays
    feeds: dict[str, str]
    fetches: dict[str, str]
    refusable: bool = False


class Answer(NamedTuple):
    """The outputs; or of a call that failed TensorFlow's error code (absl's) and message."""

    outputs: Arrays
    code: int = 0
    message: str = ""


def main(load: Callable[[str], Callable[[Question], Answer]]) -> None:
    """`python -m LOADER FOLDER QUESTIONS.json ANSWERS.json`, of a module that can `load` a folder."""
    folder, questions, answers = sys.argv[1:]
    ask = load(folder)
    write_answers(
        pathlib.Path(answers), [ask(each) for each in read_questions(pathlib.Path(questions))]
    )


def write_questions(path: pathlib.Path, questions: Sequence[Question]) -> None:
    write_json(path, [{**each._asdict(), "inputs": _to_json(each.inputs)} for each in questions])


def read_questions(path: pathlib.Path) -> list[Question]:
    return [Question(**{**each, "inputs": _from_json(each["inputs"])}) for each in read_json(path)]


def write_answers(path: pathlib.Path, answers: Sequence[Answer]) -> None:
    # An answer may hold NaN, which `write_json` refuses, and the file is for one reader only.
    trees = [{**each._asdict(), "outputs": _to_json(each.outputs)} for each in answers]
    path.write_text(json.dumps(trees), encoding="utf-8")


def read_answers(path: pathlib.Path) -> list[Answer]:
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
