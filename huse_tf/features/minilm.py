"""all-MiniLM-L6-v2 (sentence-transformers), a small transformer for sentences and short texts."""

from __future__ import annotations

from collections.abc import Sequence

import keras_hub
import numpy as np
import tensorflow as tf

from huse_tf.features.encoder import Encoder
from huse_tf.features.packages import WEIGHTS, package_file
from huse_tf.features.text_backbone import TextBackbone
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec

PACKAGE, REQUIREMENT = WEIGHTS["minilm"]
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
# As the original: texts are cut to 256 tokens, [CLS] and [SEP] among them.
MAX_TOKENS = 256


class MiniLM(Encoder):
    """Texts -> [batch, 384] float32: mean over the tokens' outputs, unit norm."""

    def __init__(self, spec: str = "minilm") -> None:
        super().__init__(spec)
        self.text = load()

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self.text.dim,))

    def _identity(self) -> tuple[str, ...]:
        return (self.text.sha256, "minilm 1")

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        return self.text.token_counts(texts), MAX_TOKENS

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        pieces = self.text.tokenize(inputs)[:, : MAX_TOKENS - 2]
        return tf.math.l2_normalize(self.text.mean_output(pieces), axis=1)


def load(layers: int = 1) -> TextBackbone:
    """The network with its weights; `layers` as in `TextBackbone`.

    Raises:
        UserError: the package with the weights is not installed, or is another one.
    """
    digest = sha256(WEIGHTS_SHA256, VOCABULARY_SHA256)
    return TextBackbone(load_backbone(), load_tokenizer(), digest, layers, lowercase=True)


def load_backbone() -> keras_hub.models.BertBackbone:
    """The bare network, with its weights. Raises UserError as `load`."""
    weights = package_file(PACKAGE, REQUIREMENT, "model/model.safetensors", WEIGHTS_SHA256)
    # keras-hub reads the layout of Hugging Face from a local folder, and raises on a tensor that
    # it lacks; tests/features/test_minilm.py shows that no tensor of the file is left over.
    return keras_hub.models.BertBackbone.from_preset(str(weights.parent))


def load_tokenizer() -> keras_hub.tokenizers.BertTokenizer:
    """The tokenizer of the network; texts must come in lower case. Raises UserError as `load`."""
    vocabulary = package_file(PACKAGE, REQUIREMENT, "model/vocab.txt", VOCABULARY_SHA256)
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    return keras_hub.tokenizers.BertTokenizer(pieces, strip_accents=True)
