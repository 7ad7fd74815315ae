"""Classification by all modalities at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.binary_cross_entropy import binary_cross_entropy
from huse_tf.losses.cross_entropy import cross_entropy
from huse_tf.losses.term import Tensors


@dataclasses.dataclass(frozen=True, eq=False)
class FusedClassification:
    """Cross-entropy of the fused logits over the complete items; half an item is none.

    Attributes:
        masks: keys of the modalities' masks in a batch; () where every item has all.
        logit_offsets: [K] float32 added to the logits here and nowhere else (`logit_adjustment`).
    """

    masks: tuple[str, ...] = ()
    logit_offsets: np.ndarray | float = 0.0

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        logits = outputs[keys.FUSED_LOGITS] + self.logit_offsets
        weights = batch[keys.WEIGHT]
        for mask in self.masks:
            weights *= batch[mask]
        if keys.LABELS in batch:
            return binary_cross_entropy(logits, batch[keys.LABELS], weights)
        return cross_entropy(logits, batch[keys.LABEL], weights)
