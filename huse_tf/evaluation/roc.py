"""The area under the ROC curve as a mean over items, so that differences can be tested."""

from __future__ import annotations

import numpy as np


def auc_values(true: np.ndarray, mismatched: np.ndarray) -> np.ndarray:
    """What each item adds to the area under the ROC curve, which is the mean of these.

    The share of mismatched scores below its true score, plus the share of true scores above its
    mismatched score, ties as halves, less the area: both structural components of DeLong et al.
    (1988) of an item. To draw items and take the mean is to draw them and compute the area anew, but
    for terms of the order of 1 / n.

    Args:
        true, mismatched: [n] scores of each item's two pairs, n > 0.

    Returns:
        [n] in [-1, 2].
    """
    own = _shares_below(true, mismatched)
    other = 1 - _shares_below(mismatched, true)
    return own + other - own.mean()


def _shares_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of `others` below each value, equal ones as halves."""
    ordered = np.sort(others)
    below, not_above = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + not_above) / (2 * len(ordered))
