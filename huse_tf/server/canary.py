"""Requests that a new version must answer before it is served: its canary, or two equal answers of each signature."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

from huse_tf.errors import UserError
from huse_tf.server.limits import Arrays
from huse_tf.server.refusals import Refused
from huse_tf.serving.canary import TOLERANCE, read_canaries, refuse_changed, refuse_unusable
from huse_tf.serving.compare import compare_answers
from huse_tf.serving.exchange import Answer, Question
from huse_tf.serving.questions import questions

Ask = Callable[[str, Arrays], Arrays]


def check_canary(folder: pathlib.Path, graph: MetaGraphDef, ask: Ask) -> int:
    """Asks a version what its canary holds. A version without one must answer twice the same.

    Args:
        folder: of the version.
        graph: of the version.
        ask: (name of a signature, inputs) -> outputs; raises Refused.

    Returns:
        How many requests were answered as expected.

    Raises:
        UserError: an answer differs, or there is none.
    """
    canaries = read_canaries(folder, graph)
    if canaries:
        answers = [_answer(each.question, ask) for each in canaries]
        refuse_changed(folder, canaries, answers, "this server")
        return len(canaries)
    asked = [each for each in questions(graph) if not each.refusable]
    for question in asked:
        first, second = (_answer(question, ask) for _ in range(2))
        refuse_unusable(question, first)
        _, problem = compare_answers(question, second, first, TOLERANCE)
        if problem:
            raise UserError(
                f"{str(folder)!r} answers one request in two ways. Expected equal answers. Received for the "
                f"signature {question.signature}: {problem}. Export the model again."
            )
    return len(asked)


def _answer(question: Question, ask: Ask) -> Answer:
    try:
        return Answer(ask(question.signature, question.inputs))
    except Refused as error:
        return Answer({}, error.code.value[0], error.sentence)
