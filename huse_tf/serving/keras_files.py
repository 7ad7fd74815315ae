"""`.keras` files that begin where another Keras pipeline is: at RGB images, and at the ids of tokens."""

from __future__ import annotations

import pathlib

import keras

from huse_tf import keys
from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_form import KerasForm
from huse_tf.models.two_tower import embedding_model
from huse_tf.serving.exported import Exported

IMAGE_MODEL = "image_model"
TEXT_MODEL = "text_model"
NAMES = {keys.IMAGE: IMAGE_MODEL, keys.TEXT: TEXT_MODEL}
TOKENIZER = "tokenizer"
_AUGMENTATION = "augmentation"  # the name of its layer


def forms(exported: Exported) -> tuple[dict[str, KerasForm], dict[str, str]]:
    """The encoders as Keras models.

    Returns:
        (modality -> form, modality -> why it has none).
    """
    found: dict[str, KerasForm] = {}
    lacking: dict[str, str] = {}
    for modality, encoder in (
        (keys.IMAGE, exported.image_encoder),
        (keys.TEXT, exported.text_encoder),
    ):
        form = None if encoder is None else encoder.keras_form()
        if form is None:
            lacking[modality] = _why(modality, encoder)
        else:
            found[modality] = form
    return found, lacking


def _why(modality: str, encoder: Encoder | None) -> str:
    instead = f"{modality}_tower.keras takes its features"
    if encoder is None:
        return f"The features are precomputed, so there is no encoder to put inside; {instead}."
    return f"The encoder {encoder.spec} is not made of Keras layers; {instead}."


def whole_model(
    exported: Exported, modality: str, form: KerasForm, any_size: bool = False
) -> keras.Model:
    """Encoder and tower in one model: from the input of the encoder's form to the embedding.

    Args:
        exported: the model.
        modality: `keys.IMAGE` or `keys.TEXT`.
        form: of its encoder.
        any_size: whether images have any size, and the model resizes them as the encoder does.
    """
    tower = without_augmentation(embedding_model(exported.model, modality))
    given = encoded = form.model.input
    if any_size:
        given = keras.Input((None, None, 3), name=given.name)
        # An operation, because Keras's layer that resizes switches on the dropout of all layers behind it where
        # the caller does not say training=False (keras 3.15).
        encoded = keras.ops.image.resize(given, form.model.input.shape[1:3], **form.resize)
    return keras.Model(given, tower(form.model(encoded)), name=NAMES[modality])


def with_named_output(model: keras.Model, modality: str) -> keras.Model:
    """The same model with a dict of one output, because other runtimes name outputs by the keys."""
    return keras.Model(model.input, {keys.embedding(modality): model.output}, name=model.name)


def without_augmentation(tower: keras.Model) -> keras.Model:
    """A tower of the same layers without the layer that changes images at random.

    Keras runs that layer, and the dropout behind it, where the caller does not say training=False.
    """
    if _AUGMENTATION in {layer.name for layer in tower.layers}:
        images = tower.get_layer(_AUGMENTATION).output
        return keras.Model(images, tower.output, name=tower.name)
    if _AUGMENTATION in {layer.name for layer in tower._flatten_layers()}:
        return keras.models.clone_model(tower, clone_function=_layer_without_augmentation)
    return tower


def _layer_without_augmentation(layer: keras.Layer) -> keras.Layer:
    return without_augmentation(layer) if isinstance(layer, keras.Model) else layer


def write_keras_files(
    exported: Exported, found: dict[str, KerasForm], folder: pathlib.Path
) -> list[str]:
    """Writes the models as `.keras`, and the files of the tokenizer.

    Returns:
        The names of the files and of the tokenizer's folder.
    """
    written = []
    for modality, form in found.items():
        model = whole_model(exported, modality, form, any_size=modality == keys.IMAGE)
        model.save(folder / f"{model.name}.keras")
        written.append(f"{model.name}.keras")
        if form.tokenizer is not None:
            form.tokenizer.save(folder / TOKENIZER)
            written.append(f"{TOKENIZER}/")
    return written
