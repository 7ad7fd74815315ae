"""Distance of an item's image and text before they are normalised (DSCMR, eq. 4: J3)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from huse_tf import keys
from huse_tf.losses.error_norm import Normalization, error_norm
from huse_tf.losses.term import Tensors


@dataclasses.dataclass(frozen=True)
class RepresentationGap:
    """Norm of image minus text, over the items that have both.

    Attributes:
        normalization: see `error_norm`.
    """

    normalization: Normalization = "code"

    def __call__(self, outputs: Tensors, batch: Tensors) -> tf.Tensor:
        complete = batch[keys.IMAGE_MASK] * batch[keys.TEXT_MASK]
        errors = outputs[keys.IMAGE_PROJECTION] - outputs[keys.TEXT_PROJECTION]
        return error_norm(errors, batch[keys.WEIGHT] * complete, self.normalization)
