"""Text encoders from keras-hub, such as BERT, RoBERTa, and the text halves of CLIP and SigLIP."""

from __future__ import annotations

from collections.abc import Sequence

import keras_hub
import numpy as np
import tensorflow as tf

from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_form import KerasForm
from huse_tf.features.keras_hub_pair import PairTexts, is_pair
from huse_tf.features.keras_hub_preset import from_preset, load_backbone
from huse_tf.features.text_backbone import TextBackbone
from huse_tf.features.weights import weights_sha256
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec


class KerasHubText(Encoder):
    """Texts -> [batch, dim] float32: mean of the tokens' output vectors.

    Of a CLIP or SigLIP it is the text's place in the space that it shares with images, of unit norm.

    `keras_hub:PRESET` with the name of a preset (bert_base_en_uncased) or the path of its folder.
    `keras_hub:PRESET@random` leaves the weights untrained. Texts are cut to the backbone's length.
    """

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        backbone, preset = load_backbone(self.argument)
        self.text: PairTexts | TextBackbone = (
            PairTexts(backbone, preset) if is_pair(backbone) else _text_backbone(backbone, preset)
        )

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self.text.dim,))

    def _identity(self) -> tuple[str, ...]:
        pair = isinstance(self.text, PairTexts)
        return (self.text.sha256, "keras_hub_pair 1" if pair else "keras_hub_text 1")

    def vocabulary(self) -> Sequence[str]:
        return list(self.text.tokenizer.get_vocabulary())

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        pair = isinstance(self.text, PairTexts)
        limit = self.text.length if pair else self.text.max_pieces + 2
        return self.text.token_counts(texts), limit

    def keras_form(self) -> KerasForm:
        if isinstance(self.text, PairTexts):
            return self.text.keras_form()
        return self.text.keras_form(self._cut, self.text.max_pieces)

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        if isinstance(self.text, PairTexts):
            return self.text(inputs)
        return self.text.mean_output(self._cut(self.text.tokenize(inputs)))

    def _cut(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        return pieces[:, : self.text.max_pieces]


def load_text_backbone(argument: str, layers: int = 1) -> TextBackbone:
    """Loads the backbone and the tokenizer of a preset.

    Args:
        argument: `PRESET` or `PRESET@random`.
        layers: number of last layers whose outputs form a token's vector.

    Raises:
        UserError: the preset cannot be loaded, or is not an encoder of texts.
    """
    return _text_backbone(*load_backbone(argument), layers)


def _text_backbone(
    backbone: keras_hub.models.Backbone, preset: str, layers: int = 1
) -> TextBackbone:
    tokenizer = from_preset(keras_hub.tokenizers.Tokenizer.from_preset, preset)
    digest = sha256(
        weights_sha256(backbone), *tokenizer.get_vocabulary(), str(tokenizer.get_config())
    )
    return TextBackbone(backbone, tokenizer, digest, layers)
