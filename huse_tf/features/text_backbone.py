"""A keras-hub transformer with its tokenizer: texts -> one vector per token, all in the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features.keras_form import KerasForm, TokenizerForm
from huse_tf.features.marks import cut_marks

INPUTS = {"token_ids", "padding_mask", "segment_ids"}


class TextBackbone(tf.Module):
    """Tokenizes texts and runs a transformer on them.

    Texts are padded to the longest text of their batch, so short texts cost little.

    Attributes:
        tokenizer: the tokenizer of keras_hub.
        dim: size of a token's output vector.
        max_pieces: largest number of word pieces of a text, without the two special tokens.
        sha256: hex digest of the weights and the vocabulary.
    """

    def __init__(
        self,
        backbone: keras_hub.models.Backbone,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        sha256: str,
        layers: int = 1,
        lowercase: bool = False,
    ) -> None:
        """Freezes and wraps a backbone.

        Args:
            backbone: a text backbone of keras_hub, of the kind of BERT.
            tokenizer: the backbone's tokenizer.
            sha256: hex digest of the weights and the vocabulary.
            layers: number of last layers whose outputs form a token's vector.
            lowercase: whether texts are converted to lower case before the tokenizer; see `in_graph`.

        Raises:
            UserError: the backbone is not like BERT, or has too few layers.
        """
        super().__init__()
        inputs = backbone.input
        limit = getattr(backbone, "max_sequence_length", None)
        if not isinstance(inputs, dict) or not set(inputs) <= INPUTS or limit is None:
            raise UserError(
                "Expected a text backbone like BERT, with the inputs token_ids, padding_mask and perhaps "
                f"segment_ids, and max_sequence_length. Received: {type(backbone).__name__}."
            )
        backbone.trainable = False
        self.tokenizer = tokenizer
        self._lowercase = lowercase
        self._tokenize = in_graph(tokenizer, lowercase)
        self._model = keras.Model(inputs, _last_outputs(backbone, layers))
        self._input_names = tuple(inputs)
        self.dim = self._model.output.shape[-1]
        self.max_pieces = limit - 2
        self.sha256 = sha256

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """[n] int: number of word pieces of each whole text, including [CLS] and [SEP]."""
        batches = [texts[start : start + 1024] for start in range(0, len(texts), 1024)]
        counts = [self.tokenize(tf.constant(list(batch))).row_lengths() for batch in batches]
        return np.concatenate([[], *counts]).astype(int) + 2

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """[batch] string -> [batch, (pieces)] int32 ids, without special tokens."""
        return self._tokenize(texts)

    def mean_output(self, pieces: tf.RaggedTensor) -> tf.Tensor:
        """The mean of a text's token vectors, including [CLS] and [SEP], without padding.

        Args:
            pieces: [batch, (pieces)] int32 ids, at most `max_pieces` per text.

        Returns:
            [batch, dim] float32.
        """
        ids = self._ended(pieces)
        mask = tf.sequence_mask(ids.row_lengths(), dtype=tf.int32)
        dense = ids.to_tensor(self.tokenizer.pad_token_id)
        inputs = {"token_ids": dense, "padding_mask": mask, "segment_ids": tf.zeros_like(dense)}
        outputs = self._model({name: inputs[name] for name in self._input_names}, training=False)
        weights = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        return tf.reduce_sum(outputs * weights, axis=1) / tf.reduce_sum(weights, axis=1)

    def keras_form(
        self,
        cut: Callable[[tf.RaggedTensor], tf.RaggedTensor],
        pieces: int,
        longer: str = "a longer text keeps its first pieces",
        unit_norm: bool = False,
    ) -> KerasForm:
        """The same as a Keras model of token ids.

        Args:
            cut: cuts [batch, (pieces)] to `pieces` pieces of a text.
            pieces: largest number of pieces, without the two special tokens.
            longer: what `cut` keeps, in words.
            unit_norm: whether the mean is brought to unit norm.
        """
        pad = int(self.tokenizer.pad_token_id)
        ids = keras.Input((None,), dtype="int32", name="token_ids")
        x = mean_of_tokens(self._model, ids, keras.ops.not_equal(ids, pad))
        if unit_norm:
            x = keras.layers.UnitNormalization(name="unit_norm")(x)
        rule = f"start token, pieces, end token, then padding; {longer}"
        tokenizer = TokenizerForm(self.tokenizer, self._lowercase, pieces + 2, pad, rule)
        return KerasForm(
            lambda texts: self._ended(cut(self.tokenize(texts))).to_tensor(pad),
            keras.Model(ids, x, name="text_encoder"),
            tokenizer,
        )

    def _ended(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        """The pieces between the start token and the end token."""
        one = tf.ones([pieces.nrows(), 1], tf.int32)
        start, end = self.tokenizer.start_token_id, self.tokenizer.end_token_id
        return tf.concat([one * start, pieces, one * end], axis=1)


def mean_of_tokens(
    network: keras.Model, tokens: keras.KerasTensor, present: keras.KerasTensor
) -> keras.KerasTensor:
    """[batch, dim]: the mean of the network's outputs over the tokens that are present; zeros without any.

    Args:
        network: from token_ids, padding_mask and perhaps segment_ids to [batch, length, dim].
        tokens: [batch, length] int32.
        present: [batch, length] bool.
    """
    mask = keras.ops.cast(present, "int32")
    inputs = {
        "token_ids": tokens,
        "padding_mask": mask,
        "segment_ids": keras.ops.zeros_like(tokens),
    }
    outputs = network({name: inputs[name] for name in network.input})
    weights = keras.ops.expand_dims(keras.ops.cast(present, "float32"), -1)
    total = keras.ops.maximum(keras.ops.sum(weights, axis=1), 1.0)
    return keras.ops.sum(outputs * weights, axis=1) / total


def in_graph(
    tokenizer: keras_hub.tokenizers.Tokenizer, lowercase: bool
) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    """A function from [batch] string to [batch, (pieces)] int32 ids, without special tokens.

    Long runs of combining marks in texts are cut. Outside a graph, keras-hub tokenizes in Python by
    slightly different rules, so the function is always a graph.

    Args:
        tokenizer: a tokenizer of word pieces.
        lowercase: whether texts are converted to lower case before the tokenizer. The tokenizer's own
            option folds case, which turns "ß" into "ss" and "²" into "2"; BERT's original does not.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
        texts = cut_marks(texts)
        return tokenizer(tf.strings.lower(texts, encoding="utf-8") if lowercase else texts)

    return tokenize


def _last_outputs(backbone: keras_hub.models.Backbone, layers: int) -> keras.KerasTensor:
    """[batch, tokens, layers * hidden]: the outputs of the last layers, the very last one at the end."""
    if layers == 1:
        output = backbone.output
        return output["sequence_output"] if isinstance(output, dict) else output
    blocks = [
        layer for layer in backbone.layers if isinstance(layer, keras_hub.layers.TransformerEncoder)
    ]
    if len(blocks) < layers:
        raise UserError(
            f"Expected a text backbone with at least {layers} transformer layers, such as BERT. "
            f"Received: {backbone.name!r} with {len(blocks)}."
        )
    return keras.layers.Concatenate()([block.output for block in blocks[-layers:]])
