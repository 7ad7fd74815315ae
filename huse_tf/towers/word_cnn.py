"""A small word-level text model, trained together with the tower above it (Kim 2014, arXiv 1408.5882)."""

from __future__ import annotations

import keras


def word_cnn(
    ids: keras.KerasTensor,
    vocabulary_size: int,
    *,
    prefix: str,
    embedding_dim: int = 128,
    filters: int = 256,
    kernel_size: int = 3,
) -> keras.KerasTensor:
    """Word embedding, one convolution over words, maximum over positions.

    Args:
        ids: [batch, tokens] int32 word ids; 0 is padding.
        vocabulary_size: number of ids, padding and unknown word included.
        prefix: of the layers' names.
        embedding_dim: size of a word's vector.
        filters: number of convolution filters, the size of the result.
        kernel_size: words under a filter.

    Returns:
        [batch, filters] float32, >= 0.
    """
    x = keras.layers.Embedding(vocabulary_size, embedding_dim, name=f"{prefix}_words")(ids)
    # Padding embeds to a trained vector; zeroing it keeps a text's features free of the batch's
    # padded length, whatever that vector has become.
    real = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(ids, 0), -1), x.dtype)
    x = keras.layers.Multiply(name=f"{prefix}_mask")([x, real])
    x = keras.layers.Conv1D(
        filters, kernel_size, padding="same", activation="relu", name=f"{prefix}_convolution"
    )(x)
    return keras.layers.GlobalMaxPooling1D(name=f"{prefix}_pooling")(x)
