"""One BERT stream over text and patches: [CLS] text [SEP] patches (FashionBERT, Gao et al. 2020, 3.1).

For its pre-training for search a text is in two parts, [CLS] query [SEP] title [SEP], a segment each.

The model is saved as stock `.keras`, but for the layers of keras_hub, which Keras imports itself:
who loads it needs keras_hub installed, and nothing of this package.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import keras_hub
from keras import layers, ops

from huse_tf import keys
from huse_tf.models.two_tower import feature_inputs
from huse_tf.spec import DataSpec, WordPieces

TEXT_SEGMENT, IMAGE_SEGMENT = 0, 1
# Names of layers that a pretrained BERT has as well.
WORDS, SEGMENTS, POOLER, LAYER = "words", "segments", "pooler", "transformer_{}"
QUERY_SEGMENT = "query_segment"
_EPSILON = 1e-12  # of layer normalisation, as BERT
_Initializers = Callable[[], keras.initializers.Initializer]


def single_stream_model(
    spec: DataSpec,
    pieces: WordPieces,
    *,
    depth: int,
    hidden_dim: int,
    heads: int,
    dropout: float,
    hidden_words: int,
    intermediate_dim: int | None = None,
    has_query: bool = False,
) -> keras.Model:
    """A pair scorer: whether a text and an image belong together, with guesses of hidden words and patches.

    Args:
        spec: image features [patches, dim], text features [tokens] ids, 0 for padding.
        pieces: the meaning of the ids.
        depth: number of transformer layers.
        hidden_dim: size of a token in the stream, a multiple of `heads`.
        heads: of attention.
        dropout: everywhere where BERT has it.
        hidden_words: the most pieces of a text that are guessed (m).
        intermediate_dim: of a transformer layer, between its two dense ones; 4 `hidden_dim` by default.
        has_query: whether the text up to its first [SEP] is a segment of its own.

    Returns:
        A model from IMAGE_FEATURES and TEXT_FEATURES to MATCH_LOGITS, WORD_LOGITS and PATCH_LOGITS
        (keys.py). A match is scored from the pooled [CLS]; a word, where its id comes negative, by
        BERT's head on the word embeddings themselves, with a bias for each; a patch by a linear map.
    """
    tokens, dim = spec.text.shape[0], spec.image.shape[1]
    # As BERT's 0.02 at its size of 768. A new one for each layer: used again, one repeats itself.
    normal = functools.partial(
        keras.initializers.TruncatedNormal, stddev=0.02 * (768 / hidden_dim) ** 0.5
    )
    inputs = feature_inputs(spec)
    signed, features = inputs[keys.TEXT_FEATURES], inputs[keys.IMAGE_FEATURES]
    ids, guessed = ops.absolute(signed), ops.less(signed, 0)
    words = layers.ReversibleEmbedding(
        spec.text.vocabulary_size,
        hidden_dim,
        embeddings_initializer=normal(),
        name=WORDS,
    )
    segments = layers.Embedding(2, hidden_dim, embeddings_initializer=normal(), name=SEGMENTS)
    projection = _linear(hidden_dim, "patch_projection", normal)
    present = ops.ones_like(features[:, :, 0], dtype="int32")  # an image has all its patches
    image = _placed(
        projection(layers.Dropout(dropout, name="features_dropout")(features)),
        segments(present * IMAGE_SEGMENT),
        dropout,
        "patch",
        normal,
    )
    segment = segments(ops.zeros_like(ids) + TEXT_SEGMENT)
    if has_query:
        segment += _query_segment(ids, pieces, hidden_dim)
    text = _placed(words(ids), segment, dropout, "text", normal)
    x = layers.Concatenate(axis=1, name="stream")([text, image])
    is_there = ops.concatenate([ops.cast(ops.not_equal(ids, 0), "int32"), present], axis=1)
    for layer in range(depth):
        x = keras_hub.layers.TransformerEncoder(
            intermediate_dim=intermediate_dim or 4 * hidden_dim,
            num_heads=heads,
            activation=_gelu(),
            dropout=dropout,
            layer_norm_epsilon=_EPSILON,
            kernel_initializer=normal(),
            name=LAYER.format(layer),
        )(x, padding_mask=is_there)
    pooled = layers.Dense(hidden_dim, activation="tanh", kernel_initializer=normal(), name=POOLER)(
        x[:, 0]
    )
    match = layers.Dense(1, kernel_initializer=normal(), name="match_head")(pooled)
    outputs = {
        keys.MATCH_LOGITS: match[:, 0],
        keys.WORD_LOGITS: _word_head(words, normal)(x[:, :tokens], _first(guessed, hidden_words)),
        keys.PATCH_LOGITS: _linear(dim, "patch_head", normal)(x[:, tokens:]),
    }
    return keras.Model(inputs, outputs, name="single_stream")


def start_from(model: keras.Model, bert: keras_hub.models.BertBackbone) -> None:
    """Gives a single stream the weights of a BERT of the same sizes and word pieces.

    Of its positions as many as the texts have, of its segments the first two, and of its layers the
    first; patches and heads, and layers that it lacks, keep their own.
    """
    positions = model.get_layer("text_position")
    positions.set_weights(
        [bert.get_layer("position_embedding").get_weights()[0][: positions.sequence_length]]
    )
    same = {
        WORDS: "token_embedding",
        "text_norm": "embeddings_layer_norm",
        POOLER: "pooled_dense",
    }
    for name, source in same.items():
        model.get_layer(name).set_weights(bert.get_layer(source).get_weights())
    segments = bert.get_layer("segment_embedding").get_weights()[0]
    model.get_layer(SEGMENTS).set_weights([segments[: IMAGE_SEGMENT + 1]])
    names = {layer.name for layer in model.layers}
    for layer in range(bert.num_layers):
        if LAYER.format(layer) in names:
            source = bert.get_layer(f"transformer_layer_{layer}")
            model.get_layer(LAYER.format(layer)).set_weights(source.get_weights())


def _linear(size: int, name: str, normal: _Initializers) -> keras.Layer:
    return layers.Dense(size, use_bias=False, kernel_initializer=normal(), name=name)


def _query_segment(ids: keras.KerasTensor, pieces: WordPieces, size: int) -> keras.KerasTensor:
    """[batch, tokens, size] by which the query's segment differs from the text's; 0 after the query.

    Told so, the segments of text and image have one meaning with and without queries, and a model that
    goes on from one without begins as that one was (--start_from).
    """
    is_end = ops.cast(ops.equal(ids, pieces.end), "int32")
    is_query = ops.equal(ops.cumsum(is_end, axis=1) - is_end, 0)
    return layers.Dense(size, use_bias=False, kernel_initializer="zeros", name=QUERY_SEGMENT)(
        ops.cast(is_query, "float32")[:, :, None]
    )


def _placed(
    content: keras.KerasTensor,
    segment: keras.KerasTensor,
    dropout: float,
    name: str,
    normal: _Initializers,
) -> keras.KerasTensor:
    """Content + place in its sequence + segment, normalised: the input of the stream."""
    place = keras_hub.layers.PositionEmbedding(
        content.shape[1], initializer=normal(), name=f"{name}_position"
    )(content)
    x = layers.Add(name=f"{name}_sum")([content, place, segment])
    x = layers.LayerNormalization(epsilon=_EPSILON, name=f"{name}_norm")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)


def _first(chosen: keras.KerasTensor, count: int) -> keras.KerasTensor:
    """[batch, count]: the first chosen places of [batch, tokens], then any others."""
    # Of equals, top_k takes the first.
    return ops.top_k(ops.cast(chosen, "float32"), count)[1]


def _word_head(words: keras.Layer, normal: _Initializers) -> keras.Layer:
    """From [batch, tokens, hidden] and places [batch, m] to [batch, m, vocabulary]."""
    return keras_hub.layers.MaskedLMHead(
        token_embedding=words,
        intermediate_activation=_gelu(),
        layer_norm_epsilon=_EPSILON,
        kernel_initializer=normal(),
        name="word_head",
    )


def _gelu() -> Callable[..., keras.KerasTensor]:
    """BERT's own, by tanh, as keras_hub has it; Keras knows it by this name when it loads a model."""
    return keras.saving.get_registered_object("keras_hub>gelu_approximate")
