"""The classification loss that fits the labels: softmax for one class an item, sigmoids for several."""

from __future__ import annotations

import numpy as np

from huse_tf.losses.binary_cross_entropy import BinaryCrossEntropy
from huse_tf.losses.cross_entropy import CrossEntropy
from huse_tf.losses.logit_adjustment import logit_offsets
from huse_tf.losses.term import LossTerm


def classification_term(multi_label: bool, class_shares: np.ndarray | None = None) -> LossTerm:
    """Cross-entropy over the joint 2B rows of a batch.

    Args:
        multi_label: whether items have several classes.
        class_shares: [K] share of the training items that have each class, to adjust the logits to;
            None leaves them as they are.
    """
    term = BinaryCrossEntropy if multi_label else CrossEntropy
    return term(0.0 if class_shares is None else logit_offsets(class_shares, multi_label))
