"""Answers questions with `saved_model_cli run`; run by `check.ask`.

TF Text is imported first, because the command fails with `Op type not registered` without it. One
process answers all questions.
"""

import pathlib
import tempfile

import numpy as np
import tensorflow_text  # noqa: F401 (registers its ops)
from tensorflow.python.tools import saved_model_cli

from huse_tf.serving import exchange
from huse_tf.serving.exchange import Answer


def load(folder):
    return lambda question: ask(folder, question)


def ask(folder, question):
    with tempfile.TemporaryDirectory() as scratch:
        inputs = []
        for name, array in question.inputs.items():
            # NumPy would pickle arrays of objects. Fixed-width strings work: none ends in a zero byte.
            np.save(f"{scratch}/{name}.npy", array.astype("S") if array.dtype == object else array)
            inputs.append(f"{name}={scratch}/{name}.npy")
        arguments = ["run", "--dir", folder, "--tag_set", "serve", "--outdir", f"{scratch}/out"]
        arguments += ["--signature_def", question.signature, "--inputs", ";".join(inputs)]
        saved_model_cli.create_parser().parse_args(arguments).func()
        files = pathlib.Path(scratch, "out").glob("*.npy")
        return Answer({file.stem: np.load(file, allow_pickle=True) for file in files})


if __name__ == "__main__":
    exchange.main(load)
