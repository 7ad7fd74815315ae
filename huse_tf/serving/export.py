"""A trained model as a version folder: SavedModel, `.keras` files, and a card that describes them."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import keras
import tensorflow as tf

import huse_tf
from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy, path_name
from huse_tf.features.encoder import Encoder
from huse_tf.files import write_json, write_text
from huse_tf.models.two_tower import CLASSIFIER, embedding_model, fusion_model, modality_model
from huse_tf.serving.check import check, record
from huse_tf.serving.saving import save_signatures
from huse_tf.serving.served_model import ConcreteFunction, ServedModel
from huse_tf.serving.versions import new_version


def export_model(
    model: keras.Model,
    image_encoder: Encoder | None,
    text_encoder: Encoder | None,
    taxonomy: Taxonomy,
    fusion_weight: float | None,
    folder: pathlib.Path,
    card: dict[str, Any],
    multi_label: bool = False,
    checked: bool = False,
) -> pathlib.Path:
    """Writes a version that TF Serving can serve; saved_models/README.md is its contract.

    Args:
        model: from features of both modalities to embeddings and logits (keys.py). A layer
            `classifier` in it takes embeddings of either modality.
        image_encoder: from [batch] encoded picture files to features; None if features come in.
        text_encoder: from [batch] UTF-8 texts to features; None if features come in.
        taxonomy: its K classes, in the order of the model's labels.
        fusion_weight: in [0, 1], the picture's share of the fused class probabilities; None for a
            model that fuses picture and text itself.
        folder: NAME/VERSION, not there yet.
        card: JSON-able, what a reader should know of the model; goes into card.json, with the
            contract beside it under "serving".
        multi_label: whether the model was trained on items with several classes each; every class
            then has a probability of its own.
        checked: whether to ask the model through TensorFlow's C++ loader (`check`) before it takes
            its place, and to say in the card what came of it.

    Returns:
        `folder`.

    Raises:
        UserError: the version exists, is no positive whole number, or would not answer in a server.
    """
    classes = [path_name(path) for path in taxonomy.classes]
    served = ServedModel(model, image_encoder, text_encoder, classes, fusion_weight, multi_label)
    with new_version(folder) as temporary:
        signatures = served.signatures()
        _save_model([image_encoder, text_encoder], classes, signatures, temporary)
        _save_parts(model, multi_label, temporary)
        serving = {
            **contract(signatures, image_encoder, text_encoder),
            "check": record(check(temporary)) if checked else None,
            "fusion_weight": fusion_weight,
            "num_classes": len(classes),
            "multi_label": multi_label,
        }
        write_json(temporary / "card.json", {**card, "serving": serving})
    return folder


def contract(
    signatures: dict[str, ConcreteFunction],
    image_encoder: Encoder | None,
    text_encoder: Encoder | None,
) -> dict[str, Any]:
    """What card.json says of every served model: signatures, encoders, versions."""
    return {
        "signatures": {name: _tensors(function) for name, function in signatures.items()},
        "encoders": {keys.IMAGE: _encoder(image_encoder), keys.TEXT: _encoder(text_encoder)},
        "versions": {
            "huse_tf": huse_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def _save_model(
    encoders: list[Encoder | None],
    classes: list[str],
    signatures: dict[str, ConcreteFunction],
    folder: pathlib.Path,
) -> None:
    with tempfile.TemporaryDirectory() as assets:
        vocabulary = pathlib.Path(assets) / "classes.txt"
        write_text(vocabulary, "".join(f"{name}\n" for name in classes))
        save_signatures(signatures, encoders, folder, [vocabulary])


def _save_parts(model: keras.Model, multi_label: bool, folder: pathlib.Path) -> None:
    """The towers, and what turns embeddings or features into probabilities, for other programs."""
    activation = "sigmoid" if multi_label else "softmax"

    def with_probabilities(inputs: keras.KerasTensor, logits: keras.KerasTensor, name: str) -> None:
        probabilities = keras.layers.Activation(activation, name="probabilities")(logits)
        keras.Model(inputs, probabilities, name=name).save(folder / f"{name}.keras")

    fusion = fusion_model(model)
    if fusion is not None:
        with_probabilities(fusion.input, fusion.output, fusion.name)
    for name in (keys.IMAGE, keys.TEXT):
        embedding_model(model, name).save(folder / f"{name}_tower.keras")
    if CLASSIFIER in {layer.name for layer in model.layers}:
        embedding = keras.Input(model.output[keys.IMAGE_EMBEDDING].shape[1:], name="embedding")
        with_probabilities(embedding, model.get_layer(CLASSIFIER)(embedding), CLASSIFIER)
        return
    for name in (keys.IMAGE, keys.TEXT):
        part = modality_model(model, name)
        with_probabilities(part.input, part.output[1], f"{name}_{CLASSIFIER}")


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
