"""Compares the answers of two loaders to one question."""

from __future__ import annotations

import numpy as np

from huse_tf.serving.exchange import Answer, Question
from huse_tf.serving.names import CLASSES, LEVEL_SCORES, SCORES

TOLERANCE = 1e-6


def compare_answers(
    question: Question, found: Answer, expected: Answer, tolerance: float = TOLERANCE
) -> tuple[float, str]:
    """The largest absolute difference between two numbers, and a description of the problem.

    Args:
        question: the question that both loaders answered.
        found: the answer of the loader under test.
        expected: the answer of Python's loader, or the one that a canary holds.
        tolerance: the largest difference between two numbers that count as equal.

    Returns:
        (difference, problem). The problem is "" if the answers are equal to `tolerance`.
    """
    if found.code or expected.code:
        return 0.0, _compare_refusals(question, found, expected)
    largest = 0.0
    for name, wanted in expected.outputs.items():
        got = _in_order_of(expected, found) if name == LEVEL_SCORES else found.outputs[name]
        if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            return largest, f"{name} is {got.dtype} {got.shape}, not {wanted.dtype} {wanted.shape}"
        if got.dtype == object:
            continue
        same = (got == wanted) | ((got != got) & (wanted != wanted))
        with np.errstate(invalid="ignore"):
            differences = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
        difference = float(np.max(np.where(same, 0, differences), initial=0))
        if not difference <= tolerance:  # also true of NaN
            return difference, f"{name} differs by {difference:.1e}"
        largest = max(largest, difference)
    for name, wanted in expected.outputs.items():
        if wanted.dtype == object and not _same_strings(name, found, expected, tolerance):
            return largest, f"{name} differ: {found.outputs[name].tolist()}, not {wanted.tolist()}"
    return largest, ""


def _in_order_of(expected: Answer, found: Answer) -> np.ndarray:
    """LEVEL_SCORES of an answer in the order of the classes of another one.

    Classes of equal scores may be in another order. A class that `found` leaves out counts as equal.
    """
    got, wanted = found.outputs[LEVEL_SCORES], expected.outputs[LEVEL_SCORES]
    names, order = found.outputs[CLASSES], expected.outputs[CLASSES]
    if got.shape != wanted.shape or np.array_equal(names, order):
        return got
    rows = zip(names, got, order, wanted, strict=True)
    return np.array(
        [
            [
                dict(zip(of, scores, strict=True)).get(name, old)
                for name, old in zip(to, before, strict=True)
            ]
            for of, scores, to, before in rows
        ]
    )


def _compare_refusals(question: Question, found: Answer, expected: Answer) -> str:
    if found.code != expected.code:
        got, wanted = (
            f"error {answer.code} ({_start(answer)})" if answer.code else "an answer"
            for answer in (found, expected)
        )
        return f"{got}, where Python has {wanted}"
    if not question.refusable:
        return f"refused, in Python too: {_start(found)}"
    return ""


def _start(answer: Answer) -> str:
    return " ".join(answer.message.split())[:300]


def _same_strings(name: str, found: Answer, expected: Answer, tolerance: float) -> bool:
    """Whether strings are equal, except that classes of equal scores may be in another order.

    An answer holds only the best classes. A class may also be replaced by a class that the other answer
    leaves out, if its score equals the last score of the answer.
    """
    got, wanted = found.outputs[name], expected.outputs[name]
    if name != CLASSES or SCORES not in expected.outputs:
        return np.array_equal(got, wanted)
    rows = zip(got, found.outputs[SCORES], wanted, expected.outputs[SCORES], strict=True)
    for got_row, got_scores, wanted_row, wanted_scores in rows:
        if np.array_equal(got_row, wanted_row):  # also of a row that failed: all are ""
            continue
        known = dict(zip(wanted_row, wanted_scores, strict=True))
        if len(set(got_row)) < len(got_row):
            return False
        for label, score in zip(got_row, got_scores, strict=True):
            if abs(known.get(label, wanted_scores[-1]) - score) > 2 * tolerance:
                return False
    return True
