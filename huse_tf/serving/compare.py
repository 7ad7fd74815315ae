"""Whether two answers to one question are the same."""

from __future__ import annotations

import numpy as np

from huse_tf.serving.exchange import Answer, Question
from huse_tf.serving.served_model import CLASSES, SCORES

TOLERANCE = 1e-6


def compare_answers(question: Question, found: Answer, expected: Answer) -> tuple[float, str]:
    """The largest difference of a number, and what is wrong in words, or "".

    Args:
        question: what was asked.
        found: of the loader in question.
        expected: of Python's loader.
    """
    if found.code or expected.code:
        return 0.0, _compare_refusals(question, found, expected)
    largest = 0.0
    for name, wanted in expected.outputs.items():
        got = found.outputs[name]
        if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            return largest, f"{name} is {got.dtype} {got.shape}, not {wanted.dtype} {wanted.shape}"
        if got.dtype == object:
            continue
        same = (got == wanted) | ((got != got) & (wanted != wanted))
        with np.errstate(invalid="ignore"):
            differences = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
        difference = float(np.max(np.where(same, 0, differences), initial=0))
        if not difference <= TOLERANCE:  # NaN is not, either
            return difference, f"{name} differs by {difference:.1e}"
        largest = max(largest, difference)
    for name, wanted in expected.outputs.items():
        if wanted.dtype == object and not _same_strings(name, found, expected):
            return largest, f"{name} differ: {found.outputs[name].tolist()}, not {wanted.tolist()}"
    return largest, ""


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


def _same_strings(name: str, found: Answer, expected: Answer) -> bool:
    """Equal, but for classes that change places with others of the same score.

    Below the last place of an answer stand classes that nobody sees: one of these may have come in
    where its score is that of the last.
    """
    got, wanted = found.outputs[name], expected.outputs[name]
    if name != CLASSES or SCORES not in expected.outputs:
        return np.array_equal(got, wanted)
    rows = zip(got, found.outputs[SCORES], wanted, expected.outputs[SCORES], strict=True)
    for got_row, got_scores, wanted_row, wanted_scores in rows:
        known = dict(zip(wanted_row, wanted_scores, strict=True))
        if len(set(got_row)) < len(got_row):
            return False
        for label, score in zip(got_row, got_scores, strict=True):
            if abs(known.get(label, wanted_scores[-1]) - score) > 2 * TOLERANCE:
                return False
    return True
