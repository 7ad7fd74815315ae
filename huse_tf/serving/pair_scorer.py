"""Writes a pair scorer as a version folder. Its only signature scores pairs of image and text."""

from __future__ import annotations

import pathlib

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder
from huse_tf.files import write_json
from huse_tf.serving.check import check, record
from huse_tf.serving.export import contract
from huse_tf.serving.exported import Exported
from huse_tf.serving.saving import save_signatures
from huse_tf.serving.served_model import ConcreteFunction
from huse_tf.serving.versions import new_version


def export_pair_scorer(
    exported: Exported, folder: pathlib.Path, *, checked: bool = False
) -> pathlib.Path:
    """Writes a version folder with the signature `match`, which is also the default one.

    `match` takes `image_bytes` [batch] and `text` [batch]. It returns `probability` [batch] float32: the
    probability that image and text of a row belong to one product.

    Args:
        exported: a model with the output MATCH_LOGITS, and both of its encoders.
        folder: the new folder NAME/VERSION.
        checked: as in `export_model`.

    Returns:
        `folder`.

    Raises:
        UserError: an encoder is missing, the version exists, its name is not a positive whole number,
            or a server could not answer from it.
    """
    image_encoder, text_encoder = exported.image_encoder, exported.text_encoder
    if image_encoder is None or text_encoder is None:
        raise UserError(
            "A pair scorer is served from raw images and texts, so it is exported with its encoders. "
            "Received: precomputed features. Train it with an image and a text encoder that can run."
        )
    matcher = keras.Model(exported.model.input, exported.model.output[keys.MATCH_LOGITS])
    function = _match_function(matcher, image_encoder, text_encoder)
    signatures = {"match": function, "serving_default": function}
    with new_version(folder) as temporary:
        save_signatures(signatures, [image_encoder, text_encoder], temporary)
        matcher.save(temporary / "match.keras")
        serving = {
            **contract(signatures, exported),
            "check": record(check(temporary)) if checked else None,
        }
        write_json(temporary / "card.json", {**exported.card, "serving": serving})
    return folder


def _match_function(
    matcher: keras.Model, image_encoder: Encoder, text_encoder: Encoder
) -> ConcreteFunction:
    """The graph from image files and texts to probabilities."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, keys.IMAGE_BYTES),
            tf.TensorSpec([None], tf.string, keys.TEXT),
        ]
    )
    def match(image_bytes: tf.Tensor, text: tf.Tensor) -> dict[str, tf.Tensor]:
        same_size = tf.debugging.assert_equal(
            tf.shape(image_bytes)[0],
            tf.shape(text)[0],
            "image_bytes and text must have equally many rows.",
        )
        both_present = tf.debugging.Assert(
            tf.reduce_all(tf.strings.length(image_bytes) > 0)
            & tf.reduce_all(text_encoder.present(text)),
            ["Every row needs its image_bytes and its text."],
        )
        with tf.control_dependencies([same_size, both_present]):
            features = {
                keys.IMAGE_FEATURES: image_encoder(tf.identity(image_bytes)),
                keys.TEXT_FEATURES: text_encoder(tf.identity(text)),
            }
        return {"probability": tf.sigmoid(matcher(features, training=False))}

    return match.get_concrete_function()
