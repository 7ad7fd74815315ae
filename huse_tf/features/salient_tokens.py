"""Cuts overlong texts to their most important tokens by the HUSE paper's rule (section 4.2), in the graph.

The sentences of a text are the documents of a small corpus. The TF-IDF weights of this corpus are the tokens'
importance. As in gensim, which the paper used, a weight is count × log2(sentences / sentences with the token),
and the weights of a sentence are scaled to unit norm. In a text of one sentence all weights are zero, and its
first tokens are kept.
"""

from __future__ import annotations

import tensorflow as tf


def keep_salient(tokens: tf.RaggedTensor, limit: int, sentence_ends: tf.Tensor) -> tf.RaggedTensor:
    """Cuts each text to its most important tokens.

    Args:
        tokens: [batch, (tokens)] int32 ids.
        limit: largest number of tokens to keep of a text.
        sentence_ends: [n] int32 ids of ".", "!" and "?".

    Returns:
        [batch, (at most limit)] int32 ids in the order of the text: the tokens with the largest weights,
        on ties the earlier ones.
    """
    text = tf.cast(tokens.value_rowids(), tf.int32)
    ids = tokens.values
    weights = token_weights(ids, text, _sentences(ids, text, sentence_ends))
    # Two stable sorts: by text, within a text by descending weight, on ties by position.
    by_weight = tf.argsort(-weights, stable=True)
    order = tf.gather(by_weight, tf.argsort(tf.gather(text, by_weight), stable=True))
    # The tokens of a text still fill the same range of positions.
    rank = tf.range(tf.size(ids)) - tf.cast(tf.gather(tokens.row_starts(), text), tf.int32)
    kept = tf.scatter_nd(order[:, tf.newaxis], tf.cast(rank < limit, tf.int32), tf.shape(ids)) > 0
    return tf.ragged.boolean_mask(tokens, tokens.with_values(kept))


def _sentences(ids: tf.Tensor, text: tf.Tensor, sentence_ends: tf.Tensor) -> tf.Tensor:
    """[tokens] int32 index of each token's sentence in the batch.

    A sentence starts at the start of a text, and after one or more ending tokens ("...", "?!").
    """
    ends = tf.reduce_any(ids[:, tf.newaxis] == sentence_ends, axis=1)
    follows_end = tf.concat([[False], ends[:-1]], 0) & ~ends
    new_text = tf.concat([[True], text[1:] != text[:-1]], 0)[: tf.size(ids)]
    return tf.cumsum(tf.cast(follows_end[: tf.size(ids)] | new_text, tf.int32)) - 1


def token_weights(ids: tf.Tensor, text: tf.Tensor, sentence: tf.Tensor) -> tf.Tensor:
    """The TF-IDF weight of each token of a batch, in its sentence.

    Args:
        ids: [tokens] int32 ids of all texts, concatenated.
        text: [tokens] int32 index of each token's text, ascending.
        sentence: [tokens] int32 index of each token's sentence in the batch, ascending.

    Returns:
        [tokens] float32, >= 0.
    """
    # A "term" is a distinct pair (sentence, id), encoded as one number.
    size = tf.cast(tf.reduce_max(tf.concat([ids, [0]], 0)), tf.int64) + 1
    words = tf.cast(ids, tf.int64)
    terms, term_of, counts = tf.unique_with_counts(tf.cast(sentence, tf.int64) * size + words)
    texts = tf.reduce_max(tf.concat([text, [-1]], 0)) + 1
    sentences = tf.reduce_max(tf.concat([sentence, [-1]], 0)) + 1
    sentence_of_term = tf.cast(terms // size, tf.int32)
    text_of_sentence = tf.math.unsorted_segment_max(text, sentence, sentences)
    text_of_term = tf.gather(text_of_sentence, sentence_of_term)
    total = tf.math.unsorted_segment_sum(tf.ones_like(text_of_sentence), text_of_sentence, texts)
    _, word_of, containing = tf.unique_with_counts(
        tf.cast(text_of_term, tf.int64) * size + terms % size
    )
    ratio = tf.gather(total, text_of_term) / tf.gather(containing, word_of)
    idf = tf.cast(tf.math.log(ratio), tf.float32) / tf.math.log(2.0)
    weights = tf.cast(counts, tf.float32) * idf
    norms = tf.math.unsorted_segment_sum(weights**2, sentence_of_term, sentences) ** 0.5
    weights = tf.math.divide_no_nan(weights, tf.gather(norms, sentence_of_term))
    return tf.gather(weights, term_of)
