"""The encoder `tokens`: ids of word pieces, for a transformer that is trained (--text_backbone, FashionBERT)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.bert import has_word_pieces, word_pieces
from huse_tf.features.encoder import Encoder
from huse_tf.features.keras_form import KerasForm, TokenizerForm
from huse_tf.features.text_backbone import in_graph
from huse_tf.features.text_backbones import load_tokenizer
from huse_tf.spec import SEPARATOR, FeatureSpec

DEFAULT_LENGTH = 64
MAX_LENGTH = 512  # positions that a BERT is pretrained with


class Tokens(Encoder):
    """Texts -> [batch, length] int32: [CLS], word pieces, [SEP], and 0 up to the length.

    [SEP] in a text (--text_separator=[SEP]) becomes the special id: "red chair [SEP] Oak armchair" gives
    [CLS] red chair [SEP] oak arm ##chair [SEP]. Other special tokens in texts are ordinary characters.
    The first part of such a text may fill a quarter of the length, the other parts share the rest. These
    limits do not depend on the other parts. Otherwise the length of a cut query would show which title it
    was paired with, and a model could recognise mismatched pairs by it.

    `tokens:minilm` has length 64, including [CLS] and [SEP]; `tokens:minilm:LENGTH` sets another length.
    The vocabulary is that of MiniLM, which is BERT's in lower case. `tokens:keras_hub:PRESET:LENGTH`
    takes the vocabulary of another text backbone, by a preset's name or the path of its folder. Where its
    padding id is not 0, all ids are shifted so that it is.
    """

    takes_argument = True
    separator = SEPARATOR
    gives_floats = False

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        source, self._length = _source_and_length(self.argument)
        kind = source.partition(":")[0]
        if kind not in ("minilm", "keras_hub") or not 3 <= self._length <= MAX_LENGTH:
            raise UserError(
                "The text encoder tokens takes minilm or keras_hub:PRESET, and a length from 3 to "
                f"{MAX_LENGTH}, such as tokens:minilm, tokens:minilm:{DEFAULT_LENGTH} or "
                f"tokens:keras_hub:bert_base_en_uncased:448. Received: {spec!r}."
            )
        self._tokenizer, lowercase, self._sha256 = load_tokenizer(source)
        self._lowercase = lowercase
        self._tokenize = in_graph(self._tokenizer, lowercase)

    @property
    def feature_spec(self) -> FeatureSpec:
        pieces = word_pieces(self._tokenizer) if has_word_pieces(self._tokenizer) else None
        return FeatureSpec(
            (self._length,),
            vocabulary_size=self._tokenizer.vocabulary_size(),
            pieces=pieces,
            tokenizer=self._sha256,
        )

    def _identity(self) -> tuple[str, ...]:
        return (self._sha256, str(self._length), "tokens 2")

    def vocabulary(self) -> Sequence[str]:
        return list(self._tokenizer.get_vocabulary())

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        parts = self._ended_parts(tf.constant(list(texts), tf.string))
        return parts.merge_dims(1, 2).row_lengths().numpy().astype(int) + 1, self._length

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        parts = self._ended_parts(inputs)
        first, others = (some.merge_dims(1, 2) for some in (parts[:, :1], parts[:, 1:]))
        room = max(1, self._length // 4)
        ids = [
            tf.fill([parts.nrows(), 1], self._tokenizer.start_token_id),
            _cut(first[:, :-1], tf.where(others.row_lengths() > 0, room, self._length - 2)),
            first[:, -1:],
            others[:, :-1][:, : max(0, self._length - 3 - room)],
            others[:, -1:],
        ]
        pad = self._tokenizer.pad_token_id
        dense = tf.concat(ids, axis=1).to_tensor(pad, shape=[None, self._length])
        # Padding is 0 for every tokenizer, because the features of a missing text are zeros.
        return tf.math.floormod(dense - pad, self._tokenizer.vocabulary_size()) if pad else dense

    def keras_form(self) -> KerasForm:
        """The ids themselves: the network that reads them is a part of the tower."""
        ids = keras.Input((self._length,), dtype="int32", name="token_ids")
        pad = int(self._tokenizer.pad_token_id)
        shift = f"; then every id less {pad}, modulo the size of the vocabulary" if pad else ""
        rule = (
            f"start token, pieces, end token, padding up to {self._length} ids; a longer text keeps its first "
            f"pieces{shift}. Parts that [SEP] separates have the end token between them, and of several parts "
            "the first one keeps a quarter of the ids"
        )
        return KerasForm(
            self,
            keras.Model(ids, keras.layers.Identity()(ids), name="text_encoder"),
            TokenizerForm(self._tokenizer, self._lowercase, self._length, 0, rule),
        )

    def _ended_parts(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """[batch] string -> [batch, (parts), (pieces)] int32: at least one part, each ends with [SEP]."""
        # The tokenizer's own option would recognise all special tokens in texts, not [SEP] alone.
        parts = tf.strings.split(texts, SEPARATOR)
        pieces = self._tokenize(parts.flat_values)
        ends = tf.fill([pieces.nrows(), 1], self._tokenizer.end_token_id)
        return parts.with_flat_values(tf.concat([pieces, ends], axis=1))


def _source_and_length(argument: str) -> tuple[str, int]:
    """(source, length) of `SOURCE` or `SOURCE:LENGTH`."""
    source, _, length = argument.rpartition(":")
    return (source, int(length)) if length.isdecimal() else (argument, DEFAULT_LENGTH)


def _cut(pieces: tf.RaggedTensor, limits: tf.Tensor) -> tf.RaggedTensor:
    """[batch, (pieces)] cut to limits [batch]."""
    lengths = tf.minimum(pieces.row_lengths(), tf.cast(limits, tf.int64))
    return tf.RaggedTensor.from_tensor(pieces.to_tensor(), lengths=lengths)
