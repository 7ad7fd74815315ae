"""Class balance by item weights and by sampling, for --class_balance=weights and sampling.

The third kind, adjusted logits, is part of the loss (`losses/logit_adjustment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from huse_tf import keys
from huse_tf.errors import UserError

Features = Mapping[str, np.ndarray]


def class_shares(features: Features, num_classes: int) -> np.ndarray:
    """[K] float64 in [0, 1]: the weighted share of the items that have each class.

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
    """[n] float32 weights that give equal total weight to all classes that occur; the mean weight stays.

    An item of class c gets its own weight times N / (K n_c). K is the number of classes that occur; N and n_c are
    the total weights of all items and of the items of class c.

    Raises:
        UserError: items have several classes. A larger weight for one class would be larger for the others too.
    """
    if keys.LABELS in features:
        raise weights_need_one_class()
    labels, weights = features[keys.LABEL], features[keys.WEIGHT].astype(np.float64)
    counts = np.bincount(labels, weights)
    factors = weights.sum() / (np.count_nonzero(counts) * counts[labels])
    return (weights * factors).astype(np.float32)


def drawn_weights(features: Features) -> np.ndarray:
    """[n] float32: item weights × class-balanced draw frequency (mean 1), so closed forms see what SGD sees.

    For the closed forms of `Method.refit`; `Method.adapt` runs before any item is drawn.
    """
    members = class_members(features)
    draws = np.zeros(len(features[keys.WEIGHT]))
    for items in members:
        draws[items] += len(draws) / (len(members) * len(items))
    return (features[keys.WEIGHT] * draws).astype(np.float32)


def features_to_solve(features: Features, class_balance: str) -> dict[str, np.ndarray]:
    """The training items with the weights that closed forms see under --class_balance.

    Args:
        features: of the training items, by key.
        class_balance: the setting.

    Raises:
        UserError: as `balanced_weights`.
    """
    balance = {"weights": balanced_weights, "sampling": drawn_weights}.get(class_balance)
    return {**features, **({keys.WEIGHT: balance(features)} if balance else {})}


def weights_need_one_class() -> UserError:
    """The error for --class_balance=weights where items may have several classes."""
    return UserError(
        "--class_balance=weights needs items of one class each; with --multi_label expected "
        "none, sampling or logits."
    )


def class_members(features: Features) -> list[np.ndarray]:
    """The indices of the items of each class that occurs, classes in ascending order."""
    if keys.LABELS in features:
        classes, items = np.nonzero(features[keys.LABELS].T)
    else:
        items = np.argsort(features[keys.LABEL], kind="stable")
        classes = features[keys.LABEL][items]
    return np.split(items, np.flatnonzero(np.diff(classes)) + 1)
