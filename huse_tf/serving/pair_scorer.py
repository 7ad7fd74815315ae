"""Writes a pair scorer as a version folder. Its only signature scores pairs of image and text."""

from __future__ import annotations

import pathlib

import keras
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder
from huse_tf.serving.artefact import finish
from huse_tf.serving.export import contract
from huse_tf.serving.exported import Exported
from huse_tf.serving.names import PROBABILITY, STATUS
from huse_tf.serving.saving import save_signatures
from huse_tf.serving.served_modality import encoded, is_present, scattered
from huse_tf.serving.served_model import ConcreteFunction, Tensors, trace
from huse_tf.serving.versions import new_version


def export_pair_scorer(
    exported: Exported, folder: pathlib.Path, *, checked: bool = False
) -> pathlib.Path:
    """Writes a version folder with the signature `match`, which is also the default one.

    `match` takes `image_bytes` [batch] and `text` [batch]. It returns `probability` [batch] float32: the
    probability that image and text of a row belong to one product; and `status` [batch].

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
        finish(temporary, folder, exported, contract(signatures, exported), checked=checked)
    return folder


def _match_function(
    matcher: keras.Model, image_encoder: Encoder, text_encoder: Encoder
) -> ConcreteFunction:
    """The graph from image files and texts to probabilities."""

    def match(inputs: Tensors) -> Tensors:
        image, text = inputs[keys.IMAGE_BYTES], inputs[keys.TEXT]
        complete = is_present(image_encoder, image) & is_present(text_encoder, text)
        rows = tf.where(complete)
        images, image_faults = encoded(image_encoder, keys.IMAGE, tf.gather(image, rows[:, 0]))
        texts, text_faults = encoded(text_encoder, keys.TEXT, tf.gather(text, rows[:, 0]))
        logits = matcher({keys.IMAGE_FEATURES: images, keys.TEXT_FEATURES: texts}, training=False)
        faults = tf.where(image_faults == "", text_faults, image_faults)
        missing = tf.where(complete, "", "Every row needs its image_bytes and its text.")
        return {
            PROBABILITY: scattered(rows, tf.sigmoid(logits), complete),
            STATUS: missing + scattered(rows, faults, complete),
        }

    strings = [tf.TensorSpec([None], tf.string, name) for name in (keys.IMAGE_BYTES, keys.TEXT)]
    return trace(match, *strings)
