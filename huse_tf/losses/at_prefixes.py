"""A loss of embeddings, taken at prefixes of them too (Matryoshka: Kusupati et al. 2022, arXiv 2205.13147)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import LossTerm, Tensors


@dataclasses.dataclass(frozen=True)
class AtPrefixes:
    """A term that reads embeddings or their class logits: its weighted mean over the whole and its prefixes.

    A prefix is brought to unit norm, so that it is an embedding of its own. The paper's loss is the sum over the
    sizes. The mean has the same minimum, and leaves the weights that terms have against each other as they are.

    Attributes:
        term: reads IMAGE_EMBEDDING and TEXT_EMBEDDING, or IMAGE_LOGITS and TEXT_LOGITS.
        sizes: of the prefixes, below the embedding's.
        weights: >= 0, one a prefix; that of the whole is 1.

    Examples:
        Image and text agree in the first unit and are orthogonal in two: the gap is 0 at the prefix, 1 in
        the whole.

        >>> from huse_tf.losses import CrossModalGap
        >>> outputs = {
        ...     keys.IMAGE_EMBEDDING: tf.constant([[0.6, 0.8]]),
        ...     keys.TEXT_EMBEDDING: tf.constant([[0.8, -0.6]]),
        ... }
        >>> ones = {key: tf.ones(1) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)}
        >>> float(AtPrefixes(CrossModalGap(), sizes=(1,), weights=(1.0,))(outputs, ones))
        0.5
    """

    term: LossTerm
    sizes: tuple[int, ...]
    weights: tuple[float, ...]

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        total = self.term(outputs, batch)
        for place, (size, weight) in enumerate(zip(self.sizes, self.weights, strict=True)):
            total += weight * self.term({**outputs, **_at_prefix(outputs, place, size)}, batch)
        return total / (1.0 + sum(self.weights))


def _at_prefix(outputs: Tensors, place: int, size: int) -> dict[str, tf.Tensor]:
    """The prefixes of `size` units, and the class logits of these where the model gives them."""
    found = {}
    for modality in (keys.IMAGE, keys.TEXT):
        embeddings = outputs[keys.embedding(modality)]
        found[keys.embedding(modality)] = tf.math.l2_normalize(embeddings[:, :size], axis=1)
        if keys.prefix_logits(modality) in outputs:
            found[keys.logits(modality)] = outputs[keys.prefix_logits(modality)][:, place]
    return found
