"""Text networks that are trained with a tower, by the names of the frozen encoders."""

from __future__ import annotations

from typing import NamedTuple

import keras
import keras_hub

from huse_tf.errors import UserError
from huse_tf.features import minilm
from huse_tf.features.keras_hub_preset import from_preset, load_backbone
from huse_tf.features.text_backbone import INPUTS, mean_of_tokens
from huse_tf.files import sha256
from huse_tf.spec import FeatureSpec

SOURCES = "minilm, or keras_hub:PRESET with the name or the folder of a text backbone such as BERT or RoBERTa"


class Tokenizer(NamedTuple):
    """A tokenizer with what its ids depend on.

    Attributes:
        layer: the tokenizer of keras-hub.
        lowercase: whether texts must be in lower case before the tokenizer (`text_backbone.in_graph`).
        sha256: digest of everything that the ids depend on.
    """

    layer: keras_hub.tokenizers.Tokenizer
    lowercase: bool
    sha256: str


def load_tokenizer(source: str) -> Tokenizer:
    """Loads the tokenizer of `minilm` or `keras_hub:PRESET`.

    Raises:
        UserError: the source is unknown or cannot be loaded, or the tokenizer lacks special tokens.
    """
    name, _, preset = source.partition(":")
    if source == "minilm":
        return Tokenizer(minilm.load_minilm_tokenizer(), True, minilm.VOCABULARY_SHA256)
    if name != "keras_hub":
        raise UserError(f"Expected {SOURCES}. Received: {source!r}.")
    layer = from_preset(keras_hub.tokenizers.Tokenizer.from_preset, preset.partition("@")[0])
    for token in ("start_token_id", "end_token_id", "pad_token_id"):
        if getattr(layer, token, None) is None:
            raise UserError(
                "Expected a preset whose tokenizer has a start, an end and a padding token, such as that of a "
                f"BERT. Received: {source!r} with a {type(layer).__name__}, which has no {token}."
            )
    return Tokenizer(layer, False, sha256(*layer.get_vocabulary(), str(layer.get_config())))


def text_layers(backbone: str, features: FeatureSpec) -> list[keras.Layer]:
    """The layers from the text encoder's features to the input of the text tower.

    The network reads the ids of `--text_encoder=tokens:SOURCE:LENGTH` and begins with the weights of the frozen
    encoder SOURCE. Before the first step its output is what that encoder gives for the same text, as far as
    LENGTH holds the text.

    Args:
        backbone: `minilm` or `keras_hub:PRESET`, a network that is trained from its pretrained weights
            (`keras_hub:PRESET@random`: from random ones); "" for none.
        features: features of the text encoder: ids (length,), or vectors (dim,).

    Returns:
        One layer from [batch, length] int32 ids to [batch, dim] float32, or [].

    Raises:
        UserError: the ids are of another tokenizer, or longer than the network reads; the name is unknown,
            or its weights are missing.
    """
    if not backbone:
        return []
    flag = f"--text_backbone={backbone}"
    if not features.tokenizer:
        raise UserError(
            f"{flag} reads ids of tokens. Expected --text_encoder=tokens:{backbone.partition('@')[0]}:LENGTH "
            f"beside it. Received: text features of shape {features.shape} that are no such ids."
        )
    try:
        tokenizer = load_tokenizer(backbone)
        network = _load(backbone)
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error
    if tokenizer.sha256 != features.tokenizer:
        raise UserError(
            f"{flag} and --text_encoder=tokens:... have different tokenizers. Expected "
            f"--text_encoder=tokens:{backbone.partition('@')[0]}:LENGTH. Change one of the two."
        )
    limit = network.max_sequence_length
    if features.shape[0] > limit:
        raise UserError(
            f"{flag} reads {limit} tokens of a text at most. Expected no larger LENGTH in --text_encoder. "
            f"Received: {features.shape[0]}."
        )
    pad = tokenizer.layer.pad_token_id
    return [_pooled(network, features, pad, unit_norm=backbone == "minilm")]


def _load(source: str) -> keras_hub.models.Backbone:
    """The backbone with its pretrained weights, which can be trained."""
    name, _, preset = source.partition(":")
    network = minilm.load_minilm_bert() if name == "minilm" else load_backbone(preset)[0]
    inputs = network.input
    if not isinstance(inputs, dict) or not set(inputs) <= INPUTS or "padding_mask" not in inputs:
        raise UserError(
            f"Expected {SOURCES}, with the inputs token_ids, padding_mask and perhaps segment_ids. "
            f"Received: {type(network).__name__}."
        )
    network.trainable = True
    return network


def _pooled(
    backbone: keras_hub.models.Backbone, features: FeatureSpec, pad: int, unit_norm: bool
) -> keras.Model:
    """[batch, length] ids, 0 for padding -> [batch, dim]: the mean over the tokens that are there.

    A missing text has padding only. Its mean is zero.
    """
    output = (
        backbone.output["sequence_output"] if isinstance(backbone.output, dict) else backbone.output
    )
    # Fixed names, by which a run can start from another. Without the layers that only a classifier of BERT reads.
    network = keras.Model(backbone.input, output, name="network")
    ids = keras.Input(features.shape, dtype="int32", name="token_ids")
    present = keras.ops.not_equal(ids, 0)
    tokens = keras.ops.mod(ids + pad, features.vocabulary_size) if pad else ids
    x = mean_of_tokens(network, tokens, present)
    if unit_norm:
        x = keras.layers.UnitNormalization(name="unit_norm")(x)
    return keras.Model(ids, x, name="text_backbone")
