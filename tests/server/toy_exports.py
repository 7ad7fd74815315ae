"""A small SavedModel with the kinds of signatures that exports have, written in a second."""

import json
import pathlib

import tensorflow as tf

WIDTH = 4


def strings(*shape):
    return tf.TensorSpec(shape, tf.string)


class Toy(tf.Module):
    """Its numbers tell the version: all are multiples of `scale`."""

    def __init__(self, scale):
        super().__init__()
        self.scale = tf.Variable(float(scale))

    @tf.function(input_signature=[strings(None)])
    def embed_text(self, text):
        """The length of the text, in each of WIDTH columns. The text "bad" fails its whole batch."""
        wrong = tf.reduce_any(text == "bad")
        with tf.control_dependencies([tf.Assert(~wrong, ["Every row needs its text."])]):
            length = tf.cast(tf.strings.length(text), tf.float32)
        return {"text_embedding": self.scale * tf.repeat(length[:, tf.newaxis], WIDTH, axis=1)}

    @tf.function(input_signature=[strings(None, None), strings(None)])
    def embed_product(self, image_bytes, text):
        """The number of images and of characters, and a status for rows without images."""
        images = tf.reduce_sum(tf.cast(image_bytes != "", tf.float32), axis=1)
        length = tf.cast(tf.strings.length(text), tf.float32)
        with tf.control_dependencies([tf.debugging.assert_equal(tf.size(images), tf.size(length))]):
            status = tf.where(images > 0, "", "no image")
        return {
            "product_embedding": self.scale * tf.stack([images, length], axis=1),
            "status": status,
        }

    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.int64)])
    def numbers(self, x, k):
        """x / k, which can be infinite or NaN, k, and the sign as a bool."""
        quotient = x / tf.cast(k, tf.float32)[:, tf.newaxis]
        return {
            "quotient": quotient,
            "k": 2 * k,
            "positive": x > 0,
            "raw_bytes": tf.io.encode_base64(tf.strings.as_string(k)),
        }

    @tf.function(input_signature=[strings(None)])
    def serving_default(self, text):
        """The text itself, and its length."""
        return {"echo": text, "length": self.scale * tf.cast(tf.strings.length(text), tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([])])
    def scalar(self, x):
        """A signature without rows."""
        return {"y": self.scale * x}


SIGNATURES = ("embed_product", "embed_text", "numbers", "scalar", "serving_default")


def canaries(scale, wrong=False):
    """What `Toy(scale)` answers, by hand; if wrong, one number of the first is not."""
    length, red = scale * 3, {"text": ["red"]}
    answers = {
        "embed_text": (red, {"text_embedding": [[length + wrong] * WIDTH]}),
        "embed_product": (
            {"image_bytes": [[""]], **red},
            {"product_embedding": [[0.0, length]], "status": ["no image"]},
        ),
        "numbers": (
            {"x": [[1.0, -2.0]], "k": [2]},
            {
                "quotient": [[0.5, -1.0]],
                "k": [4],
                "positive": [[True, False]],
                "raw_bytes": [{"b64": "TWc="}],  # of "Mg", which is "2" in base64
            },
        ),
        "scalar": ({"x": 1.0}, {"y": scale}),
        "serving_default": (red, {"echo": ["red"], "length": [length]}),
    }
    return [
        {"signature": name, "inputs": inputs, "outputs": outputs, "tolerance": 1e-3}
        for name, (inputs, outputs) in answers.items()
    ]


def write(folder, scale=1.0, signatures=SIGNATURES, canary=True, wrong=False):
    """Writes the version `folder`; with a canary, which can hold a wrong answer."""
    toy = Toy(scale)
    found = {name: getattr(toy, name) for name in signatures}
    tf.saved_model.save(toy, str(folder), signatures=found)
    if canary:
        extra = pathlib.Path(folder) / "assets.extra"
        extra.mkdir()
        entries = [entry for entry in canaries(scale, wrong) if entry["signature"] in signatures]
        (extra / "canary.json").write_text(json.dumps(entries), encoding="utf-8")
    return pathlib.Path(folder)
