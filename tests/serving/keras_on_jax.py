"""Answers from `.keras` files on the JAX backend, without TensorFlow; run as a script by test_runtimes.py.

Usage: keras_on_jax.py INPUTS.npz ANSWERS.npz

INPUTS holds an array under the path of each file.
"""

import sys


class NoTensorFlow:
    """A finder that refuses TensorFlow, as on a machine without it."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_text", "huse_tf"):
            raise ImportError(f"{name} is not to be imported here.")


sys.meta_path.insert(0, NoTensorFlow())

import keras  # noqa: E402
import numpy as np  # noqa: E402


def main(inputs, answers):
    assert keras.backend.backend() == "jax"
    found = {}
    with np.load(inputs) as given:
        for path in given.files:
            if "text_model" in path:
                import keras_hub  # noqa: F401 (registers the layers of its networks)
            model = keras.models.load_model(path)
            found[path] = np.asarray(model(given[path]))
    assert "tensorflow" not in sys.modules
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
