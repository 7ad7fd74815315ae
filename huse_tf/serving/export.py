"""A trained model as a version folder: SavedModel, `.keras` files, and a card that describes them."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import keras
import tensorflow as tf

import huse_tf
from huse_tf import keys
from huse_tf.data.taxonomy import Taxonomy, path_name
from huse_tf.features.encoder import Encoder
from huse_tf.files import write_json, write_text
from huse_tf.models.two_tower import CLASSIFIER, IMAGE_TOWER, TEXT_TOWER
from huse_tf.serving.served_model import ConcreteFunction, ServedModel
from huse_tf.serving.versions import new_version


def export_model(
    model: keras.Model,
    image_encoder: Encoder | None,
    text_encoder: Encoder | None,
    taxonomy: Taxonomy,
    fusion_weight: float,
    folder: pathlib.Path,
    card: dict[str, Any],
    multi_label: bool = False,
) -> pathlib.Path:
    """Writes a version that TF Serving can serve; saved_models/README.md is its contract.

    Args:
        model: as `models.two_tower` builds them.
        image_encoder: from [batch] encoded picture files to features; None if features come in.
        text_encoder: from [batch] UTF-8 texts to features; None if features come in.
        taxonomy: its K classes, in the order of the model's labels.
        fusion_weight: in [0, 1], the picture's share of the fused class probabilities.
        folder: NAME/VERSION, not there yet.
        card: JSON-able, what a reader should know of the model; goes into card.json, with the
            contract beside it under "serving".
        multi_label: whether the model was trained on items with several classes each; every class
            then has a probability of its own.

    Returns:
        `folder`.

    Raises:
        UserError: the version exists, or is no positive whole number.
    """
    classes = [path_name(path) for path in taxonomy.classes]
    served = ServedModel(model, image_encoder, text_encoder, classes, fusion_weight, multi_label)
    with new_version(folder) as temporary:
        signatures = served.signatures()
        _save_model(model, [image_encoder, text_encoder], classes, signatures, temporary)
        _save_parts(model, multi_label, temporary)
        serving = {
            "signatures": {name: _tensors(function) for name, function in signatures.items()},
            "encoders": {
                keys.IMAGE: _encoder(image_encoder),
                keys.TEXT: _encoder(text_encoder),
            },
            "fusion_weight": fusion_weight,
            "num_classes": len(classes),
            "multi_label": multi_label,
            "versions": {
                "huse_tf": huse_tf.__version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
            },
        }
        write_json(temporary / "card.json", {**card, "serving": serving})
    return folder


def _save_model(
    model: keras.Model,
    encoders: list[Encoder | None],
    classes: list[str],
    signatures: dict[str, ConcreteFunction],
    folder: pathlib.Path,
) -> None:
    module = tf.Module()
    # A SavedModel holds what its module tracks. The weights instead of the model, because a
    # compiled one would bring its optimizer's variables along.
    module.weights = [weight.value for weight in model.weights]
    module.encoders = [encoder for encoder in encoders if encoder is not None]
    with tempfile.TemporaryDirectory() as assets:
        vocabulary = pathlib.Path(assets) / "classes.txt"
        write_text(vocabulary, "".join(f"{name}\n" for name in classes))
        module.classes = tf.saved_model.Asset(str(vocabulary))
        tf.saved_model.save(module, str(folder), signatures=signatures)


def _save_parts(model: keras.Model, multi_label: bool, folder: pathlib.Path) -> None:
    """The towers, and the classifier from embeddings to probabilities, for other Keras programs."""
    for name in (IMAGE_TOWER, TEXT_TOWER):
        model.get_layer(name).save(folder / f"{name}.keras")
    embedding = keras.Input(model.output[keys.IMAGE_EMBEDDING].shape[1:], name="embedding")
    activation = "sigmoid" if multi_label else "softmax"
    probabilities = keras.layers.Activation(activation, name="probabilities")(
        model.get_layer(CLASSIFIER)(embedding)
    )
    keras.Model(embedding, probabilities, name=CLASSIFIER).save(folder / f"{CLASSIFIER}.keras")


def _tensors(function: ConcreteFunction) -> dict[str, Any]:
    """Inputs and outputs of a signature by name; a size of null is free."""
    _, inputs = function.structured_input_signature
    return {
        side: {
            name: {"shape": tensor.shape.as_list(), "dtype": tensor.dtype.name}
            for name, tensor in tensors.items()
        }
        for side, tensors in (("inputs", inputs), ("outputs", function.structured_outputs))
    }


def _encoder(encoder: Encoder | None) -> dict[str, str] | None:
    if encoder is None:
        return None
    return {"spec": encoder.spec, "fingerprint": encoder.fingerprint}
