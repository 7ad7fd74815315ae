"""A pair scorer as a version folder: one signature, for it has no embeddings and no classes to serve."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder
from huse_tf.files import write_json
from huse_tf.serving.check import check, record
from huse_tf.serving.export import contract
from huse_tf.serving.saving import save_signatures
from huse_tf.serving.versions import new_version


def export_pair_scorer(
    model: keras.Model,
    image_encoder: Encoder | None,
    text_encoder: Encoder | None,
    folder: pathlib.Path,
    card: dict[str, Any],
    checked: bool = False,
) -> pathlib.Path:
    """Writes a version with the signature `match`, also the default: from pictures and texts of equal
    number, pair by pair, to the probability that they belong together.

    Args:
        model: with the output MATCH_LOGITS.
        image_encoder: from [batch] encoded picture files to features.
        text_encoder: from [batch] UTF-8 texts to features.
        folder: NAME/VERSION, not there yet.
        card, checked: as for `export_model`.

    Returns:
        `folder`.

    Raises:
        UserError: features were precomputed, the version exists, or would not answer in a server.
    """
    if image_encoder is None or text_encoder is None:
        raise UserError(
            "A pair scorer is served with its encoders, from pictures and texts. Expected encoders that "
            "can run, not precomputed features."
        )
    matcher = keras.Model(model.input, model.output[keys.MATCH_LOGITS])

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
        both_there = tf.debugging.Assert(
            tf.reduce_all(tf.strings.length(image_bytes) > 0)
            & tf.reduce_all(text_encoder.present(text)),
            ["Every row needs its image_bytes and its text."],
        )
        with tf.control_dependencies([same_size, both_there]):
            features = {
                keys.IMAGE_FEATURES: image_encoder(tf.identity(image_bytes)),
                keys.TEXT_FEATURES: text_encoder(tf.identity(text)),
            }
        return {"probability": tf.sigmoid(matcher(features, training=False))}

    function = match.get_concrete_function()
    signatures = {"match": function, "serving_default": function}
    with new_version(folder) as temporary:
        save_signatures(signatures, [image_encoder, text_encoder], temporary)
        matcher.save(temporary / "match.keras")
        serving = {
            **contract(signatures, image_encoder, text_encoder),
            "check": record(check(temporary)) if checked else None,
        }
        write_json(temporary / "card.json", {**card, "serving": serving})
    return folder
