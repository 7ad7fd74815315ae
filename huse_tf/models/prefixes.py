"""Class logits of prefixes of embeddings, by the classifier of the whole (Matryoshka with tied weights, MRL-E)."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def prefix_logits(
    embedding: keras.KerasTensor, classifier: keras.Layer, sizes: Sequence[int]
) -> keras.KerasTensor:
    """The class scores of each prefix, brought to unit norm.

    A prefix with zeros behind it is a vector of the whole size, so the classifier of the whole reads it: by the
    first rows of its kernel (Kusupati et al. 2022, section 3).

    Args:
        embedding: [batch, D].
        classifier: from [batch, D] to logits [batch, K].
        sizes: of the prefixes, at least one, below D.

    Returns:
        [batch, len(sizes), K].
    """
    dim = embedding.shape[-1]
    scores = []
    for size in sizes:
        prefix = keras.layers.UnitNormalization()(embedding[:, :size])
        scores.append(classifier(keras.ops.pad(prefix, ((0, 0), (0, dim - size)))))
    return keras.ops.stack(scores, axis=1)
