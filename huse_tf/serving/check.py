"""An exported model asked as a server asks it: what TensorFlow's C++ loader answers, against Python's."""

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
from huse_tf.serving.compare import TOLERANCE, compare_answers
from huse_tf.serving.exchange import Answer, Question
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph

C_LOADER = "huse_tf.serving.c_loader"
PYTHON_LOADER = "huse_tf.serving.python_loader"
_SHOWN = 4


class Checked(NamedTuple):
    """Of one signature: how many requests were answered alike, and the largest difference of a number."""

    signature: str
    requests: int
    difference: float


def check(folder: pathlib.Path) -> list[Checked]:
    """Asks every signature of the SavedModel in `folder` through both loaders.

    Each runs in a process of its own, on the CPU, as a server would start; the C++ one without Python's
    TensorFlow. A refusal counts as an answer where rows lack something: then both must refuse alike.

    Raises:
        UserError: answers differ by more than TOLERANCE, a loader fails, or there is no C++ library.
    """
    find_library()
    asked = questions(read_graph(folder))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found, expected = pool.map(
            lambda loader: ask(loader, folder, asked), (C_LOADER, PYTHON_LOADER)
        )
    checked: dict[str, Checked] = {}
    problems = []
    for question, ours, theirs in zip(asked, found, expected, strict=True):
        name = question.signature
        before = checked.get(name, Checked(name, 0, 0.0))
        difference, problem = compare_answers(question, ours, theirs)
        checked[name] = Checked(name, before.requests + 1, max(before.difference, difference))
        if problem:
            problems.append(f"{name}, {question.about}: {problem}")
    if problems:
        shown = "\n".join(f"  {each}" for each in problems[:_SHOWN])
        raise UserError(
            "The exported model does not answer in TensorFlow's C++ loader, which is that of TF Serving, "
            f"as it does in Python, so it is not exported (unless with --noexport_check). Expected equal "
            f"answers, to {TOLERANCE:.0e}. Received, in {len(problems)} of {len(asked)} requests:\n{shown}"
        )
    return list(checked.values())


def ask(loader: str, folder: pathlib.Path, asked: Sequence[Question]) -> list[Answer]:
    """The answers of a loader in a fresh process on the CPU.

    Args:
        loader: a module of which `exchange.main` can be run.
        folder: of the SavedModel.

    Raises:
        UserError: the loader ended with an error.
    """
    # The package may lie where only this process looks for it. A GPU may be full of the training.
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
                f"{loader} cannot load {str(folder)!r}. Received: exit status {done.returncode}, and "
                f"at the end of what it wrote:\n{done.stderr[-2000:]}"
            )
        return exchange.read_answers(answers)


def record(checked: Sequence[Checked]) -> dict[str, Any]:
    """What card.json says of a check."""
    return {
        "signatures": len(checked),
        "requests": sum(each.requests for each in checked),
        "largest_difference": max(each.difference for each in checked),
        "tensorflow": tf.__version__,
    }


def sentence(record: dict[str, Any] | None) -> str:
    """The record in words; None stands for an export that was not checked."""
    if record is None:
        return "not checked against TensorFlow's C++ loader"
    return (
        f"{record['signatures']} signatures answered by TensorFlow's C++ loader, equal to Python to "
        f"{TOLERANCE:.0e} (largest difference {record['largest_difference']:.1e})"
    )
