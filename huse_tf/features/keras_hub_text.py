"""Text backbones of keras-hub, such as BERT and RoBERTa."""

from __future__ import annotations

import keras_hub
import tensorflow as tf

from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_hub_preset import from_preset, load_backbone
from huse_tf.features.text_backbone import TextBackbone
from huse_tf.features.weights import weights_sha256
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec


class KerasHubText(Encoder):
    """Texts -> [batch, dim] float32: mean over the tokens of the last layer's outputs.

    `keras_hub:PRESET` with the name of a preset (bert_base_en_uncased) or the path of its folder;
    `@random` behind it leaves the weights untrained. Texts are cut to what the backbone can read.
    """

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self.text = load(self.argument)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self.text.dim,))

    def _identity(self) -> tuple[str, ...]:
        return (self.text.sha256, "keras_hub_text 1")

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.text.mean_output(self.text.tokenize(inputs)[:, : self.text.max_pieces])


def load(argument: str, layers: int = 1) -> TextBackbone:
    """The backbone of a preset with its tokenizer; `layers` as in `TextBackbone`.

    Raises:
        UserError: the preset cannot be loaded, or is not one of an encoder of texts.
    """
    backbone, preset = load_backbone(argument)
    tokenizer = from_preset(keras_hub.tokenizers.Tokenizer.from_preset, preset)
    digest = sha256(
        weights_sha256(backbone), *tokenizer.get_vocabulary(), str(tokenizer.get_config())
    )
    return TextBackbone(backbone, tokenizer, digest, layers)
