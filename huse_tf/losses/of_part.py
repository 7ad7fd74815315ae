"""A loss of embeddings, taken of parts of them."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.term import LossTerm, Tensors


@dataclasses.dataclass(frozen=True)
class OfPart:
    """A term that reads embeddings, given other outputs in their place.

    Attributes:
        term: reads IMAGE_EMBEDDING and TEXT_EMBEDDING, or IMAGE_LOGITS and TEXT_LOGITS.
        image, text: keys of the outputs that it gets in place of the embeddings.
        logits: keys of those that it gets in place of the logits, image first; empty: the logits.

    Examples:
        The gap between two instance parts, whatever the embeddings are:

        >>> from huse_tf.losses import CrossModalGap
        >>> part = tf.constant([[1.0, 0.0]])
        >>> gap = OfPart(CrossModalGap(), keys.IMAGE_INSTANCE, keys.TEXT_INSTANCE)
        >>> ones = {key: tf.ones(1) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)}
        >>> float(gap({keys.IMAGE_INSTANCE: part, keys.TEXT_INSTANCE: part}, ones))
        0.0
    """

    term: LossTerm
    image: str
    text: str
    logits: tuple[str, ...] = ()

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        parts = {
            keys.IMAGE_EMBEDDING: outputs[self.image],
            keys.TEXT_EMBEDDING: outputs[self.text],
        }
        if self.logits:
            image, text = self.logits
            parts |= {keys.IMAGE_LOGITS: outputs[image], keys.TEXT_LOGITS: outputs[text]}
        return self.term({**outputs, **parts}, batch)
