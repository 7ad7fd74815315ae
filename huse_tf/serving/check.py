"""Checks that an export answers in TensorFlow's C++ loader, which TF Serving uses, as it does in Python."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import huse_tf
from huse_tf.errors import UserError
from huse_tf.serving import exchange
from huse_tf.serving.c_library import find_library
from huse_tf.serving.canary import (
    canary_questions,
    read_canaries,
    refuse_changed,
    write_canaries,
)
from huse_tf.serving.compare import TOLERANCE, compare_answers
from huse_tf.serving.exchange import Answer, Question
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph

C_LOADER = "huse_tf.serving.c_loader"
PYTHON_LOADER = "huse_tf.serving.python_loader"
_NAMES = {C_LOADER: "TensorFlow's C++ loader", PYTHON_LOADER: "Python's loader"}
_SHOWN = 4


class Checked(NamedTuple):
    """The result of the check for one signature.

    Attributes:
        signature: its name.
        requests: number of requests that both loaders answered.
        difference: the largest absolute difference between two numbers of their answers.
    """

    signature: str
    requests: int
    difference: float


def check(folder: pathlib.Path) -> list[Checked]:
    """Calls every signature of the SavedModel in `folder` through both loaders and compares the answers.

    Each loader runs on the CPU in a new process. The process of the C++ loader does not import Python's
    TensorFlow. An error is a valid answer to inputs with different numbers of rows if both loaders return it. Both
    must also give the answers of the canaries that the export keeps.

    Returns:
        One result for each signature, in the order in which they were called.

    Raises:
        UserError: answers differ by more than TOLERANCE, or from a canary by more than its tolerance; a loader
            fails, or the C++ library is missing.
    """
    find_library()
    graph = read_graph(folder)
    canaries = read_canaries(folder, graph)
    checked, answers = _compare_loaders(
        folder, questions(graph), [canary.question for canary in canaries]
    )
    for loader, found in answers.items():
        refuse_changed(folder, canaries, found, _NAMES[loader])
    return checked


def first_check(folder: pathlib.Path) -> list[Checked]:
    """`check` of a new export. The answers of Python's loader become its canaries."""
    find_library()
    graph = read_graph(folder)
    asked = canary_questions(graph)
    checked, answers = _compare_loaders(folder, questions(graph), asked)
    write_canaries(folder, asked, answers[PYTHON_LOADER])
    return checked


def _compare_loaders(
    folder: pathlib.Path, asked: Sequence[Question], canaries: Sequence[Question]
) -> tuple[list[Checked], dict[str, list[Answer]]]:
    """The results for each signature, and loader -> answers to the canaries' questions.

    Raises:
        UserError: as for `check`.
    """
    every = [*asked, *canaries]
    loaders = (C_LOADER, PYTHON_LOADER)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found, expected = pool.map(lambda loader: ask(loader, folder, every), loaders)
    checked: dict[str, Checked] = {}
    problems = []
    for question, ours, theirs in zip(every, found, expected, strict=True):
        name = question.signature
        before = checked.get(name, Checked(name, 0, 0.0))
        difference, problem = compare_answers(question, ours, theirs)
        checked[name] = Checked(name, before.requests + 1, max(before.difference, difference))
        if problem:
            problems.append(f"{name}, {question.about}: {problem}")
    if problems:
        shown = "\n".join(f"  {each}" for each in problems[:_SHOWN])
        raise UserError(
            "The exported model answers differently in TensorFlow's C++ loader, which TF Serving uses, than "
            f"in Python. Expected answers equal to {TOLERANCE:.0e}. Use --noexport_check to export it all "
            f"the same. Received, in {len(problems)} of {len(every)} requests:\n{shown}"
        )
    last = {
        loader: each[len(asked) :] for loader, each in zip(loaders, (found, expected), strict=True)
    }
    return list(checked.values()), last


def ask(loader: str, folder: pathlib.Path, asked: Sequence[Question]) -> list[Answer]:
    """Answers questions with a loader in a new process on the CPU.

    Args:
        loader: name of a module that runs `exchange.main`.
        folder: the SavedModel's folder.
        asked: the questions.

    Returns:
        The answers, in the order of the questions.

    Raises:
        UserError: the loader's process failed.
    """
    # Only this process may know the package's folder. Training may have filled the GPU's memory.
    package = str(pathlib.Path(huse_tf.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryDirectory() as scratch:
        request, answers = (
            pathlib.Path(scratch) / "questions.json",
            pathlib.Path(scratch) / "answers",
        )
        exchange.write_questions(request, asked)
        done = subprocess.run(
            [sys.executable, "-m", loader, str(folder), str(request), str(answers)],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise UserError(
                f"{loader} cannot load {str(folder)!r}. Expected exit status 0. Received: exit status "
                f"{done.returncode}. The end of its output:\n{done.stderr[-2000:]}"
            )
        return exchange.read_answers(answers)


def record(checked: Sequence[Checked]) -> dict[str, Any]:
    """The entry of a check in card.json."""
    return {
        "signatures": len(checked),
        "requests": sum(each.requests for each in checked),
        "largest_difference": max(each.difference for each in checked),
        "tensorflow": tf.__version__,
    }


def sentence(record: dict[str, Any] | None) -> str:
    """The record as a sentence. None means that the export was not checked."""
    if record is None:
        return "not checked against TensorFlow's C++ loader"
    return (
        f"{record['signatures']} signatures answered by TensorFlow's C++ loader, equal to Python to "
        f"{TOLERANCE:.0e} (largest difference {record['largest_difference']:.1e})"
    )
