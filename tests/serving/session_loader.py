"""Answers questions with `tf.compat.v1.saved_model.loader`; run by `huse_tf.serving.check.ask`."""

import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers its ops)

from huse_tf.serving import exchange
from huse_tf.serving.exchange import Answer


def load(folder):
    session = tf.compat.v1.Session(graph=tf.Graph())
    tf.compat.v1.saved_model.loader.load(session, [tf.saved_model.SERVING], folder)

    def ask(question):
        feeds = {question.feeds[name]: array for name, array in question.inputs.items()}
        try:
            return Answer(session.run(question.fetches, feeds))
        except tf.errors.OpError as error:
            return Answer({}, error.error_code, error.message)

    return ask


if __name__ == "__main__":
    exchange.main(load)
