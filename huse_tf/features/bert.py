"""A BERT to train, and the word pieces that it reads, by the name of where they come from."""

from __future__ import annotations

import keras_hub

from huse_tf.errors import UserError
from huse_tf.features.keras_hub_preset import from_preset
from huse_tf.files import sha256
from huse_tf.spec import WordPieces

SOURCES = "minilm, or keras_hub:PRESET with the name or the folder of a BERT, such as keras_hub:bert_base_en_uncased"


def load_bert(source: str) -> keras_hub.models.BertBackbone:
    """The network that `minilm` or `keras_hub:PRESET` names, with its weights.

    Raises:
        UserError: another source, one that cannot be loaded, or a network of another kind.
    """
    name, _, preset = source.partition(":")
    if source == "minilm":
        from huse_tf.features import minilm

        return minilm.load_backbone()
    if name != "keras_hub":
        raise UserError(f"Expected {SOURCES}. Received: {source!r}.")
    bert = from_preset(keras_hub.models.Backbone.from_preset, preset)
    if not isinstance(bert, keras_hub.models.BertBackbone):
        raise UserError(
            f"Expected a preset of a BERT, such as keras_hub:bert_base_en_uncased. Received: {source!r}, "
            f"which is a {type(bert).__name__}."
        )
    return bert


def load_tokenizer(source: str) -> tuple[keras_hub.tokenizers.BertTokenizer, bool, str]:
    """What makes word pieces of texts for the network of the same source.

    Returns:
        (tokenizer, lowercase, sha256): whether texts go into lower case before the tokenizer
        (`text_backbone.in_graph`), and a digest of all that ids depend on.

    Raises:
        UserError: as of `load_bert`; or the tokenizer's padding is not 0, as this package has it.
    """
    name, _, preset = source.partition(":")
    if source == "minilm":
        from huse_tf.features import minilm

        return minilm.load_tokenizer(), True, minilm.VOCABULARY_SHA256
    if name != "keras_hub":
        raise UserError(f"Expected {SOURCES}. Received: {source!r}.")
    tokenizer = from_preset(keras_hub.tokenizers.Tokenizer.from_preset, preset)
    if not isinstance(tokenizer, keras_hub.tokenizers.BertTokenizer) or tokenizer.pad_token_id:
        raise UserError(
            "Expected a preset with the word pieces of a BERT, [PAD] the first of its vocabulary, such as "
            f"keras_hub:bert_base_en_uncased. Received: {source!r} with a {type(tokenizer).__name__}."
        )
    return tokenizer, False, sha256(*tokenizer.get_vocabulary(), str(tokenizer.get_config()))


def word_pieces(tokenizer: keras_hub.tokenizers.BertTokenizer) -> WordPieces:
    """What the ids of a tokenizer mean."""
    mark, vocabulary = tokenizer.suffix_indicator, tokenizer.get_vocabulary()
    continuations = (id for id, piece in enumerate(vocabulary) if piece.startswith(mark))
    return WordPieces(
        start=tokenizer.start_token_id,
        end=tokenizer.end_token_id,
        mask=tokenizer.mask_token_id,
        continuations=frozenset(continuations),
        vocabulary=sha256(*vocabulary),
    )
