"""Answers a request from a version folder, without huse_tf; run as a script by test_export.py.

Usage: fresh_process.py FOLDER REQUEST.json ANSWER.json [MODULE ...]

The request is the `inputs` object of TF Serving's REST interface, with {"b64": ...} for bytes. The
given modules are imported before the model is loaded.
"""

import base64
import importlib
import json
import pathlib
import sys

if "huse_tf" in sys.modules:
    raise RuntimeError("huse_tf is imported already.")
sys.modules["huse_tf"] = None  # from here on, importing it raises

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def tensor(values):
    return tf.constant([base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in values])


def of_rank(value, rank):
    """A product has one image."""
    return value if value.shape.rank == rank else value[:, tf.newaxis]


def plain(value):
    array = value.numpy()
    return (np.char.decode(array.astype("S")) if value.dtype == tf.string else array).tolist()


def main(folder, request, answer, *modules):
    for module in modules:
        importlib.import_module(module)
    inputs = {k: tensor(v) for k, v in json.loads(pathlib.Path(request).read_text()).items()}
    answers = {}
    for name, function in tf.saved_model.load(folder).signatures.items():
        expected = function.structured_input_signature[1]
        given = {key: of_rank(inputs[key], spec.shape.rank) for key, spec in expected.items()}
        outputs = function(**given)
        answers[name] = {key: plain(value) for key, value in outputs.items()}

    towers = {
        modality: keras.models.load_model(f"{folder}/{modality}_tower.keras")
        for modality in ("image", "text")
    }
    classifier = keras.models.load_model(f"{folder}/classifier.keras")
    for modality, tower in towers.items():
        embedding = tower(inputs[f"{modality}_features"])
        answers[tower.name] = plain(embedding)
        answers[f"{modality}_probabilities"] = plain(classifier(embedding))
    pathlib.Path(answer).write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
