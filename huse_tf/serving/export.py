"""Writes a trained model as a version folder: a SavedModel, `.keras` files and what describes them."""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import keras

from huse_tf import keys
from huse_tf.data.classes.taxonomy import path_name
from huse_tf.features.encoder import Encoder
from huse_tf.files import write_text
from huse_tf.models.two_tower import CLASSIFIER, embedding_model, fusion_model, modality_model
from huse_tf.serving.artefact import after_the_model, finish, versions
from huse_tf.serving.beside import Sample, write_formats
from huse_tf.serving.exported import Exported
from huse_tf.serving.formats import ONE_MODALITY, SAVED_MODEL
from huse_tf.serving.one_modality import write_one_modality
from huse_tf.serving.saving import save_signatures
from huse_tf.serving.served_model import ConcreteFunction, ServedModel
from huse_tf.serving.versions import new_version


def export_model(
    exported: Exported,
    folder: pathlib.Path,
    *,
    checked: bool = False,
    formats: Sequence[str] = (SAVED_MODEL,),
    sample: Sample | None = None,
) -> pathlib.Path:
    """Writes a version folder that TF Serving can serve.

    saved_models/README.md describes the files and signatures.

    Args:
        exported: the model and its encoders. A layer named `classifier`, if the model has one, must
            take the embeddings of either modality.
        folder: the new folder NAME/VERSION.
        checked: whether to ask the model through TensorFlow's C++ loader (`first_check`) before the version
            appears. card.json then holds the result.
        formats: what to write (`formats.check_formats`).
        sample: training items, for the format litert_int8.

    Returns:
        `folder`.

    Raises:
        UserError: the version exists, its name is not a positive whole number, or a server could not
            answer from it.
        ValueError: the taxonomy or the fusion weight does not fit the model, or the card is not JSON.
    """
    served = ServedModel(exported)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(new_version(folder))
        signatures = served.signatures()
        _save_model(exported, signatures, temporary)
        _save_parts(exported.model, exported.multi_label, temporary)
        serving = {
            **contract(signatures, exported),
            "fusion_weight": exported.fusion_weight,
            "num_classes": len(exported.taxonomy.classes),
            "multi_label": exported.multi_label,
            "prefixes": list(exported.prefixes),
            **after_the_model(exported),
            **write_formats(exported, formats, temporary, sample),
        }
        finish(temporary, folder, exported, serving, checked=checked)
        if ONE_MODALITY in formats:
            write_one_modality(stack, exported, signatures, folder, temporary, checked=checked)
    return folder


def contract(signatures: dict[str, ConcreteFunction], exported: Exported) -> dict[str, Any]:
    """The part of card.json that all exports share: signatures, encoders and versions."""
    return {
        "signatures": {name: _tensors(function) for name, function in signatures.items()},
        "encoders": {
            keys.IMAGE: _encoder(exported.image_encoder),
            keys.TEXT: _encoder(exported.text_encoder),
        },
        "versions": versions(),
    }


def _save_model(
    exported: Exported, signatures: dict[str, ConcreteFunction], folder: pathlib.Path
) -> None:
    """Writes the SavedModel, with the class paths in `assets/classes.txt`."""
    encoders = [exported.image_encoder, exported.text_encoder]
    names = [path_name(path) for path in exported.taxonomy.classes]
    with tempfile.TemporaryDirectory() as assets:
        vocabulary = pathlib.Path(assets) / "classes.txt"
        write_text(vocabulary, "".join(f"{name}\n" for name in names))
        save_signatures(signatures, encoders, folder, [vocabulary])


def _save_parts(model: keras.Model, multi_label: bool, folder: pathlib.Path) -> None:
    """Writes the towers, and the models from embeddings or features to probabilities, as `.keras`."""
    activation = "sigmoid" if multi_label else "softmax"

    def with_probabilities(inputs: keras.KerasTensor, logits: keras.KerasTensor, name: str) -> None:
        probabilities = keras.layers.Activation(activation, name="probabilities")(logits)
        keras.Model(inputs, probabilities, name=name).save(folder / f"{name}.keras")

    fusion = fusion_model(model)
    if fusion is not None:
        with_probabilities(fusion.input, fusion.output, fusion.name)
    for name in (keys.IMAGE, keys.TEXT):
        embedding_model(model, name).save(folder / f"{name}_tower.keras")
    size = model.output[keys.IMAGE_EMBEDDING].shape[-1]
    if _classifies_embeddings(model, size):
        embedding = keras.Input((size,), name="embedding")
        with_probabilities(embedding, model.get_layer(CLASSIFIER)(embedding), CLASSIFIER)
        return
    for name in (keys.IMAGE, keys.TEXT):
        part = modality_model(model, name)
        with_probabilities(part.input, part.output[1], f"{name}_{CLASSIFIER}")


def _classifies_embeddings(model: keras.Model, size: int) -> bool:
    """Whether one classifier reads the embeddings of both modalities, and not a part of the towers' outputs."""
    if CLASSIFIER not in {layer.name for layer in model.layers}:
        return False
    return model.get_layer(CLASSIFIER).kernel.shape[0] == size


def _tensors(function: ConcreteFunction) -> dict[str, Any]:
    """The inputs and outputs of a signature by name. A size of null is free."""
    _, inputs = function.structured_input_signature
    return {
        kind: {
            name: {"shape": tensor.shape.as_list(), "dtype": tensor.dtype.name}
            for name, tensor in tensors.items()
        }
        for kind, tensors in (("inputs", inputs), ("outputs", function.structured_outputs))
    }


def _encoder(encoder: Encoder | None) -> dict[str, str] | None:
    if encoder is None:
        return None
    return {"spec": encoder.spec, "fingerprint": encoder.fingerprint}
