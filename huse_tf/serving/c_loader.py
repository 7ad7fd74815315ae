"""Answers questions from a SavedModel as TF Serving does: TensorFlow's C++ loader, then `Session::Run`.

python -m huse_tf.serving.c_loader FOLDER QUESTIONS.json ANSWERS.json
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from huse_tf.serving import exchange
from huse_tf.serving.c_library import OpError, Session
from huse_tf.serving.exchange import Answer, Question


def load(folder: str) -> Callable[[Question], Answer]:
    """The function that answers questions from the SavedModel in `folder`."""
    try:
        session = Session(folder)
    except OpError as error:
        sys.exit(str(error))

    def ask(question: Question) -> Answer:
        feeds = {question.feeds[name]: array for name, array in question.inputs.items()}
        try:
            values = session.run(feeds, list(question.fetches.values()))
        except OpError as error:
            return Answer({}, error.code, str(error))
        return Answer(dict(zip(question.fetches, values, strict=True)))

    return ask


if __name__ == "__main__":
    exchange.main(load)
