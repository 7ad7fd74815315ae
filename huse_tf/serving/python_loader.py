"""Answers questions from a SavedModel with Python's `tf.saved_model.load`.

python -m huse_tf.serving.python_loader FOLDER QUESTIONS.json ANSWERS.json
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import tensorflow as tf

from huse_tf.serving import exchange
from huse_tf.serving.exchange import Answer, Question


def load(folder: str) -> Callable[[Question], Answer]:
    """The function that answers questions from the SavedModel in `folder`."""
    with contextlib.suppress(ImportError):
        # Here, because it is optional; importing it registers its ops.
        import tensorflow_text  # noqa: F401
    model = tf.saved_model.load(folder)

    def ask(question: Question) -> Answer:
        inputs = {
            name: tf.constant(array, tf.string if array.dtype == object else None)
            for name, array in question.inputs.items()
        }
        try:
            outputs = model.signatures[question.signature](**inputs)
        except tf.errors.OpError as error:
            return Answer({}, error.error_code, error.message)
        return Answer({name: outputs[name].numpy() for name in question.fetches})

    return ask


if __name__ == "__main__":
    exchange.main(load)
