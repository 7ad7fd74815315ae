"""The encoder all-MiniLM-L6-v2 (sentence-transformers), a small transformer for short texts."""

from __future__ import annotations

from collections.abc import Sequence

import keras_hub
import numpy as np
import tensorflow as tf

from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_form import KerasForm
from huse_tf.features.packages import WEIGHTS, package_file
from huse_tf.features.text_backbone import TextBackbone
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec

PACKAGE, REQUIREMENT = WEIGHTS["minilm"]
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
# Texts are cut to 256 tokens including [CLS] and [SEP], as in the original.
MAX_TOKENS = 256


class MiniLM(Encoder):
    """Texts -> [batch, 384] float32 of unit norm: mean of the tokens' output vectors."""

    def __init__(self, spec: str = "minilm") -> None:
        super().__init__(spec)
        self.text = load_minilm()

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self.text.dim,))

    def _identity(self) -> tuple[str, ...]:
        return (self.text.sha256, "minilm 1")

    def vocabulary(self) -> Sequence[str]:
        return list(self.text.tokenizer.get_vocabulary())

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        return self.text.token_counts(texts), MAX_TOKENS

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        pieces = _cut(self.text.tokenize(inputs))
        return tf.math.l2_normalize(self.text.mean_output(pieces), axis=1)

    def keras_form(self) -> KerasForm:
        return self.text.keras_form(_cut, MAX_TOKENS - 2, unit_norm=True)


def _cut(pieces: tf.RaggedTensor) -> tf.RaggedTensor:
    return pieces[:, : MAX_TOKENS - 2]


def load_minilm(layers: int = 1) -> TextBackbone:
    """Loads the network with its tokenizer.

    Args:
        layers: number of last layers whose outputs form a token's vector.

    Raises:
        UserError: the package with the weights is missing, or has another version.
    """
    digest = sha256(WEIGHTS_SHA256, VOCABULARY_SHA256)
    return TextBackbone(load_minilm_bert(), load_minilm_tokenizer(), digest, layers, lowercase=True)


def load_minilm_bert() -> keras_hub.models.BertBackbone:
    """Loads the network with its weights. Raises UserError if the package is missing or another one."""
    weights = package_file(PACKAGE, REQUIREMENT, "model/model.safetensors", WEIGHTS_SHA256)
    # keras-hub reads Hugging Face's layout from a local folder, and raises on a missing tensor.
    # tests/features/test_minilm.py shows that every tensor of the file is used.
    return keras_hub.models.BertBackbone.from_preset(str(weights.parent))


def load_minilm_tokenizer() -> keras_hub.tokenizers.BertTokenizer:
    """Loads the tokenizer, for texts in lower case. Raises UserError if the package is missing or another one."""
    vocabulary = package_file(PACKAGE, REQUIREMENT, "model/vocab.txt", VOCABULARY_SHA256)
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    return keras_hub.tokenizers.BertTokenizer(pieces, strip_accents=True)
