"""Answers from a SavedModel by `saved_model_cli run`, TF Text preloaded; run by `check.ask`.

Without it the command ends in `Op type not registered`. All questions are asked in one process.
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
            # Strings as NumPy's own: arrays of objects would be pickled. None ends in a zero byte.
            np.save(f"{scratch}/{name}.npy", array.astype("S") if array.dtype == object else array)
            inputs.append(f"{name}={scratch}/{name}.npy")
        arguments = ["run", "--dir", folder, "--tag_set", "serve", "--outdir", f"{scratch}/out"]
        arguments += ["--signature_def", question.signature, "--inputs", ";".join(inputs)]
        saved_model_cli.create_parser().parse_args(arguments).func()
        files = pathlib.Path(scratch, "out").glob("*.npy")
        return Answer({file.stem: np.load(file, allow_pickle=True) for file in files})


if __name__ == "__main__":
    exchange.main(load)
