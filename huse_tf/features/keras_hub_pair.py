"""CLIP and SigLIP of keras-hub: one preset with an image encoder and a text encoder for one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.keras_form import KerasForm, TokenizerForm, of_images
from huse_tf.features.keras_hub_preset import from_preset
from huse_tf.features.marks import cut_marks
from huse_tf.features.weights import values_sha256
from huse_tf.files import sha256


def is_pair(backbone: keras_hub.models.Backbone) -> bool:
    """Whether a backbone encodes images and texts into one space."""
    return hasattr(backbone, "get_vision_embeddings") and hasattr(backbone, "get_text_embeddings")


class PairImages(tf.Module):
    """Pixels -> [batch, dim] float32 of unit norm, by the image half of a CLIP or SigLIP.

    Attributes:
        converter: from an image of its own size to the pixels; the preset's own, which resizes, crops and scales.
        size: (height, width) of the pixels.
        dim: size of the features.
        sha256: digest of the weights and of the converter's settings.
    """

    def __init__(self, backbone: keras_hub.models.Backbone, preset: str) -> None:
        super().__init__()
        self.converter = from_preset(keras_hub.layers.ImageConverter.from_preset, preset)
        size = self.converter.image_size
        self.size: tuple[int, int] = tuple(backbone.input["images"].shape[1:3])
        if size is None or tuple(size) != self.size:
            raise UserError(
                f"The image converter of {preset!r} makes images of size {size}, and its network takes "
                f"{self.size}. Expected a preset in which both are equal."
            )
        images = keras.Input(backbone.input["images"].shape[1:], name="images")
        self._model = keras.Model(images, backbone.get_vision_embeddings(images))
        self._model.trainable = False
        self.dim = self._model.output.shape[-1]
        self.sha256 = sha256(values_sha256(self._model), str(self.converter.get_config()))

    def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
        """[batch, *size, 3] -> [batch, dim]."""
        return tf.math.l2_normalize(self._model(pixels, training=False), axis=1)

    def keras_form(self) -> KerasForm:
        """The same as a Keras model, and the converter's way to resize."""
        names = ("interpolation", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
        resize = {name: getattr(self.converter, name) for name in names}
        size, scaled = self.size, rescaling(self.converter)

        def sized(pixels: tf.Tensor) -> tf.Tensor:
            return keras.ops.image.resize(pixels, size, **resize)

        def layers(pixels: keras.KerasTensor) -> keras.KerasTensor:
            return keras.layers.UnitNormalization()(self._model(scaled(pixels), training=False))

        return of_images(
            lambda inputs: image_files.decode(inputs, size, sized), size, layers, resize
        )


class PairTexts(tf.Module):
    """Texts -> [batch, dim] float32 of unit norm, by the text half of a CLIP or SigLIP.

    The preset's own preprocessor changes the case, tokenizes, cuts and pads.

    Attributes:
        tokenizer: the tokenizer of keras-hub.
        dim: size of the features.
        sha256: digest of the weights, the vocabulary and the preprocessor's settings.
    """

    def __init__(self, backbone: keras_hub.models.Backbone, preset: str) -> None:
        super().__init__()
        # A general name: keras-hub finds the preprocessor of this kind of backbone.
        self._preprocessor = from_preset(keras_hub.models.CausalLMPreprocessor.from_preset, preset)
        self._preprocessor.image_converter = None  # images are not its business here
        self.tokenizer = self._preprocessor.tokenizer
        self._preprocessor.build(None)
        self.length = self._preprocessor.sequence_length
        ids = keras.Input((self.length,), dtype="int32", name="token_ids")
        self._model = keras.Model(ids, backbone.get_text_embeddings(ids))
        self._model.trainable = False
        self.dim = self._model.output.shape[-1]
        self.sha256 = sha256(
            values_sha256(self._model),
            *self.tokenizer.get_vocabulary(),
            str(_settings(self._preprocessor)),
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def ids(self, texts: tf.Tensor) -> tf.Tensor:
        """[batch] string -> [batch, length] int32: ids as the network takes them."""
        # A graph, because keras-hub tokenizes by slightly different rules outside of one.
        prompts = self._split_digits(cut_marks(texts))
        packed = self._preprocessor({"prompts": prompts, "images": tf.zeros((0,))})
        return tf.ensure_shape(packed["token_ids"], (None, self.length))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def _lengths(self, texts: tf.Tensor) -> tf.Tensor:
        """[batch] string -> [batch] number of tokens of each whole text."""
        texts = tf.strings.lower(self._split_digits(cut_marks(texts)), encoding="utf-8")
        return self.tokenizer(texts).row_lengths()

    def _split_digits(self, texts: tf.Tensor) -> tf.Tensor:
        """Every digit is a word for CLIP's tokenizer; keras-hub's graph would join neighbours."""
        if isinstance(self.tokenizer, keras_hub.tokenizers.CLIPTokenizer):
            return tf.strings.regex_replace(texts, r"(\p{N})", r" \1 ")
        return texts

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """[n] int: number of tokens of each whole text, with the special ones."""
        special = int(self._preprocessor.add_start_token) + int(self._preprocessor.add_end_token)
        batches = [texts[start : start + 1024] for start in range(0, len(texts), 1024)]
        counts = [self._lengths(tf.constant(list(batch))) for batch in batches]
        return np.concatenate([[], *counts]).astype(int) + special

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch] string -> [batch, dim]."""
        return tf.math.l2_normalize(self._model(self.ids(inputs), training=False), axis=1)

    def keras_form(self) -> KerasForm:
        """The same as a Keras model of token ids [batch, length]."""
        features = keras.layers.UnitNormalization()(self._model(self._model.input, training=False))
        model = keras.Model(self._model.input, features, name="text_encoder")
        tokenizer = TokenizerForm(
            self.tokenizer,
            True,
            self.length,
            int(self.tokenizer.pad_token_id or 0),
            "as the preset's preprocessor packs prompts",
        )
        return KerasForm(self.ids, model, tokenizer)


def rescaling(converter: keras_hub.layers.ImageConverter) -> keras.layers.Rescaling:
    """The scale and the offset of a converter, as a stock layer."""
    scale, offset = (
        default if value is None else value
        for value, default in ((converter.scale, 1.0), (converter.offset, 0.0))
    )
    return keras.layers.Rescaling(scale, offset, name="rescaling")


def _settings(preprocessor: keras.layers.Layer) -> dict[str, Any]:
    """The settings of a preprocessor, without those of its parts and its name."""
    config = preprocessor.get_config()
    parts = ("tokenizer", "image_converter", "name")
    return {key: value for key, value in sorted(config.items()) if key not in parts}
