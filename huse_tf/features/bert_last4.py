"""The text features of the HUSE paper (section 4.2): the last four layers of BERT, averaged over tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_form import KerasForm
from huse_tf.features.keras_hub_text import load_text_backbone
from huse_tf.features.minilm import load_minilm
from huse_tf.features.salient_tokens import keep_salient
from huse_tf.features.text_backbone import TextBackbone
from huse_tf.spec import FeatureSpec

LAYERS = 4


class BertLast4(Encoder):
    """Texts -> [batch, 4 * hidden] float32.

    A token's vector is the concatenated output of the last four layers. The features are the mean over
    all tokens, including [CLS] and [SEP]. A text that is too long for BERT (512 tokens) is cut to its
    most important tokens (`salient_tokens`).

    `bert_last4:minilm`, or `bert_last4:keras_hub:PRESET` (bert_base_en_uncased: as in the paper).
    """

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self.text = _load(self.argument)
        known = self.text.tokenizer.get_vocabulary()
        ends = [self.text.tokenizer.token_to_id(mark) for mark in ".!?" if mark in known]
        self._sentence_ends = tf.constant(ends, tf.int32)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self.text.dim,))

    def _identity(self) -> tuple[str, ...]:
        return (self.text.sha256, "bert_last4 1")

    def vocabulary(self) -> Sequence[str]:
        return list(self.text.tokenizer.get_vocabulary())

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        return self.text.token_counts(texts), self.text.max_pieces + 2

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.text.mean_output(self._cut(self.text.tokenize(inputs)))

    def keras_form(self) -> KerasForm:
        return self.text.keras_form(
            self._cut, self.text.max_pieces, "a longer text keeps its most important pieces"
        )

    def _cut(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        return keep_salient(pieces, self.text.max_pieces, self._sentence_ends)


def _load(source: str) -> TextBackbone:
    name, _, argument = source.partition(":")
    if name == "minilm" and not argument:
        return load_minilm(LAYERS)
    if name == "keras_hub":
        return load_text_backbone(argument, LAYERS)
    raise UserError(
        "bert_last4 needs a BERT. Expected bert_last4:minilm or bert_last4:keras_hub:PRESET. "
        f"Received: 'bert_last4:{source}'."
    )
