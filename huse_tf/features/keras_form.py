"""`KerasForm`: an encoder as a Keras model behind the step that reads files or splits texts."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from huse_tf.files import write_json, write_text

# Settings of tokenizers of keras-hub that change ids.
_SETTINGS = ("lowercase", "strip_accents", "split", "split_on_cjk", "suffix_indicator", "oov_token")
ONE_RULE: Mapping[str, Any] = MappingProxyType({"antialias": True})  # of `image_files`


@dataclasses.dataclass(frozen=True, eq=False)
class TokenizerForm:
    """How texts become the ids that a text model takes.

    Attributes:
        layer: the tokenizer of keras-hub.
        lowercase: whether texts are converted to lower case before the tokenizer, without case folding.
        tokens: largest number of ids of a text, special ids included.
        pad: the id that fills a row.
        rule: how ids become a row, in words.
    """

    layer: keras_hub.tokenizers.Tokenizer
    lowercase: bool
    tokens: int
    pad: int
    rule: str

    def save(self, folder: pathlib.Path) -> None:
        """Writes the vocabulary, as `vocab.txt` for the word pieces of a BERT, and `settings.json`."""
        folder.mkdir()
        if isinstance(self.layer, keras_hub.tokenizers.BertTokenizer):
            pieces = self.layer.get_vocabulary()
            write_text(folder / "vocab.txt", "".join(f"{piece}\n" for piece in pieces))
        else:
            self.layer.save_assets(str(folder))
        config = self.layer.get_config()
        settings = {name: config[name] for name in _SETTINGS if name in config}
        write_json(
            folder / "settings.json",
            {
                "tokenizer": type(self.layer).__name__,
                "settings": settings,
                "lowercase_before": self.lowercase,
                "start_id": getattr(self.layer, "start_token_id", None),  # SigLIP has none
                "end_id": getattr(self.layer, "end_token_id", None),
                "pad_id": self.pad,
                "tokens": self.tokens,
                "rule": self.rule,
            },
        )


@dataclasses.dataclass(frozen=True, eq=False)
class KerasForm:
    """An encoder in two steps, `encoder(strings) = model(prepare(strings))`.

    Attributes:
        prepare: TensorFlow ops from [batch] strings to the input of `model`.
        model: a Keras model of one input, and the encoder's features as its output. An image model takes
            RGB images [batch, height, width, 3] float32 in 0..255 of the encoder's own size; a text model
            takes token ids [batch, tokens] int32.
        tokenizer: of a text model; None for an image model.
        resize: arguments of `keras.ops.image.resize` by which `prepare` brings an image to its size.
    """

    prepare: Callable[[tf.Tensor], tf.Tensor]
    model: keras.Model
    tokenizer: TokenizerForm | None = None
    resize: Mapping[str, Any] = dataclasses.field(default_factory=lambda: ONE_RULE)

    def prepared(self, strings: Sequence[str | bytes]) -> np.ndarray:
        """The input of `model` for some strings, by one graph."""
        graph = tf.function(self.prepare, input_signature=[tf.TensorSpec([None], tf.string)])
        return graph(tf.constant(list(strings))).numpy()


def of_images(
    prepare: Callable[[tf.Tensor], tf.Tensor],
    size: tuple[int, int],
    layers: Callable[[keras.KerasTensor], keras.KerasTensor],
    resize: Mapping[str, Any] = ONE_RULE,
) -> KerasForm:
    """The form of an image encoder.

    Args:
        prepare: maps encoded images to pixels [batch, *size, 3] in 0..255.
        size: (height, width).
        layers: maps pixels to features.
        resize: as in `KerasForm`.
    """
    pixels = keras.Input((*size, 3), name="image")
    model = keras.Model(pixels, layers(pixels), name="image_encoder")
    return KerasForm(prepare, model, resize=resize)
