"""Texts as ids of word pieces, for a transformer that is trained (FashionBERT)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import minilm
from huse_tf.features.encoder import Encoder
from huse_tf.features.text_backbone import in_graph
from huse_tf.methods.base import SEPARATOR, FeatureSpec, WordPieces

DEFAULT_LENGTH = 64
MAX_LENGTH = 512  # positions that the network was pretrained with
CONTINUATION = "##"


class Tokens(Encoder):
    """Texts -> [batch, length] int32: [CLS], word pieces, [SEP], and 0 up to the length.

    A [SEP] within a text (--text_separator) is one here too: "red chair [SEP] Oak armchair" becomes
    [CLS] red chair [SEP] oak arm ##chair [SEP]. Other special tokens in texts are ordinary letters.
    Of such a text the first part has room for a quarter of LENGTH, and the others share the rest: were
    a part cut by what another leaves, its length would tell what it was written with, and pairs of a
    query and a title that do not belong together would be known by that.

    `tokens:minilm` reads 64 pieces of a text, the two special ones among them, and
    `tokens:minilm:LENGTH` that many. The vocabulary is the one of MiniLM: BERT's, without case.
    """

    takes_argument = True
    separator = SEPARATOR
    gives_floats = False

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        name, _, length = self.argument.partition(":")
        length = length or str(DEFAULT_LENGTH)
        if name != "minilm" or not (length.isdecimal() and 3 <= int(length) <= MAX_LENGTH):
            raise UserError(
                f"The text encoder tokens takes minilm, and a length from 3 to {MAX_LENGTH}, such as "
                f"tokens:minilm or tokens:minilm:{DEFAULT_LENGTH}. Received: {spec!r}."
            )
        self._length = int(length)
        self._tokenizer = minilm.load_tokenizer()
        self._tokenize = in_graph(self._tokenizer, lowercase=True)

    @property
    def feature_spec(self) -> FeatureSpec:
        tokenizer = self._tokenizer
        continuations = (
            id for id, piece in enumerate(tokenizer.get_vocabulary()) if piece[:2] == CONTINUATION
        )
        return FeatureSpec(
            (self._length,),
            vocabulary_size=tokenizer.vocabulary_size(),
            pieces=WordPieces(
                start=tokenizer.start_token_id,
                end=tokenizer.end_token_id,
                mask=tokenizer.mask_token_id,
                continuations=frozenset(continuations),
            ),
        )

    def _identity(self) -> tuple[str, ...]:
        return (minilm.VOCABULARY_SHA256, str(self._length), "tokens 2")

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
        return tf.concat(ids, axis=1).to_tensor(
            self._tokenizer.pad_token_id, shape=[None, self._length]
        )

    def _ended_parts(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """[batch] string -> [batch, (parts), (pieces)] int32: every part, one at least, with its [SEP]."""
        # Split here, for the tokenizer's own option takes all special tokens out of texts.
        parts = tf.strings.split(texts, SEPARATOR)
        pieces = self._tokenize(parts.flat_values)
        ends = tf.fill([pieces.nrows(), 1], self._tokenizer.end_token_id)
        return parts.with_flat_values(tf.concat([pieces, ends], axis=1))


def _cut(pieces: tf.RaggedTensor, limits: tf.Tensor) -> tf.RaggedTensor:
    """[batch, (pieces)], of each row no more than its limit, [batch]."""
    lengths = tf.minimum(pieces.row_lengths(), tf.cast(limits, tf.int64))
    return tf.RaggedTensor.from_tensor(pieces.to_tensor(), lengths=lengths)
