"""Loads a BERT to train and its tokenizer, by `minilm` or `keras_hub:PRESET`."""

from __future__ import annotations

import keras_hub

from huse_tf.errors import UserError
from huse_tf.features import minilm, text_backbones
from huse_tf.features.keras_hub_preset import from_preset
from huse_tf.files import sha256
from huse_tf.spec import WordPieces

SOURCES = "minilm, or keras_hub:PRESET with the name or the folder of a BERT, such as keras_hub:bert_base_en_uncased"


def load_bert(source: str) -> keras_hub.models.BertBackbone:
    """Loads the network that `minilm` or `keras_hub:PRESET` names, with its weights.

    Raises:
        UserError: the source is unknown or cannot be loaded, or the network is not a BERT.
    """
    name, _, preset = source.partition(":")
    if source == "minilm":
        return minilm.load_minilm_bert()
    if name != "keras_hub":
        raise UserError(f"Expected {SOURCES}. Received: {source!r}.")
    bert = from_preset(keras_hub.models.Backbone.from_preset, preset)
    if not isinstance(bert, keras_hub.models.BertBackbone):
        raise UserError(
            f"Expected a preset of a BERT, such as keras_hub:bert_base_en_uncased. Received: {source!r}, "
            f"which is a {type(bert).__name__}."
        )
    return bert


def load_tokenizer(source: str) -> text_backbones.Tokenizer:
    """Loads the tokenizer of word pieces that belongs to the network of the same source.

    Raises:
        UserError: the source is unknown or cannot be loaded, is not a BERT, or its padding id is not 0.
    """
    tokenizer = text_backbones.load_tokenizer(source)
    if not has_word_pieces(tokenizer.layer):
        raise UserError(
            "Expected a preset with the word pieces of a BERT, [PAD] the first of its vocabulary, such as "
            f"keras_hub:bert_base_en_uncased. Received: {source!r} with a {type(tokenizer.layer).__name__}."
        )
    return tokenizer


def has_word_pieces(tokenizer: keras_hub.tokenizers.Tokenizer) -> bool:
    """Whether a tokenizer is that of a BERT, with padding as its first piece."""
    return isinstance(tokenizer, keras_hub.tokenizers.BertTokenizer) and not tokenizer.pad_token_id


def word_pieces(tokenizer: keras_hub.tokenizers.BertTokenizer) -> WordPieces:
    """The special ids of a tokenizer, the ids that continue a word, and a hash of its vocabulary."""
    mark, vocabulary = tokenizer.suffix_indicator, tokenizer.get_vocabulary()
    continuations = (id for id, piece in enumerate(vocabulary) if piece.startswith(mark))
    return WordPieces(
        start=tokenizer.start_token_id,
        end=tokenizer.end_token_id,
        mask=tokenizer.mask_token_id,
        continuations=frozenset(continuations),
        vocabulary=sha256(*vocabulary),
    )
