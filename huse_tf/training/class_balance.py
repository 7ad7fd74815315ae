"""What --class_balance does to the training items: weigh or draw them so that classes count alike.

The third way, adjusted logits, is a matter of the loss (`losses/logit_adjustment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from huse_tf import keys
from huse_tf.errors import UserError

Features = Mapping[str, np.ndarray]


def class_shares(features: Features, num_classes: int) -> np.ndarray:
    """[K] float64 in [0, 1]: share of the items that have each class, items counted by weight.

    Args:
        features: of the training items; WEIGHT [n], and LABEL [n] or LABELS [n, K].
        num_classes: K.
    """
    weights = features[keys.WEIGHT].astype(np.float64)
    shares = weights / weights.sum()
    if keys.LABELS in features:
        return shares @ features[keys.LABELS]
    return np.bincount(features[keys.LABEL], weights=shares, minlength=num_classes)


def balanced_weights(features: Features) -> np.ndarray:
    """[n] float32 weights with which all classes that occur weigh the same; their mean stays.

    An item of class c gets its own weight times N / (K n_c), where K counts the classes that occur
    and N and n_c are the weights of all items and of those of class c.

    Raises:
        UserError: items have several classes, so that weighing an item up for one of its classes
            would weigh up its others as well.
    """
    if keys.LABELS in features:
        raise weights_need_one_class()
    labels, weights = features[keys.LABEL], features[keys.WEIGHT].astype(np.float64)
    counts = np.bincount(labels, weights)
    factors = weights.sum() / (np.count_nonzero(counts) * counts[labels])
    return (weights * factors).astype(np.float32)


def drawn_weights(features: Features) -> np.ndarray:
    """[n] weights times how often items are drawn where classes are drawn alike, the mean of that being 1.

    What is solved for from all items at once so counts them as training by steps does.
    """
    members = class_members(features)
    draws = np.zeros(len(features[keys.WEIGHT]))
    for items in members:
        draws[items] += len(draws) / (len(members) * len(items))
    return (features[keys.WEIGHT] * draws).astype(np.float32)


def weights_need_one_class() -> UserError:
    return UserError(
        "--class_balance=weights needs items of one class each; with --multi_label expected "
        "none, sampling or logits."
    )


def class_members(features: Features) -> list[np.ndarray]:
    """For each class that occurs, the indices of the items that have it."""
    if keys.LABELS in features:
        classes, items = np.nonzero(features[keys.LABELS].T)
    else:
        items = np.argsort(features[keys.LABEL], kind="stable")
        classes = features[keys.LABEL][items]
    return np.split(items, np.flatnonzero(np.diff(classes)) + 1)
