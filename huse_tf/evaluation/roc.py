"""The area under the ROC curve as a mean over items, so that differences can be tested."""

from __future__ import annotations

import numpy as np


def auc_values(true: np.ndarray, mismatched: np.ndarray) -> np.ndarray:
    """Each item's contribution to the area under the ROC curve (AUC); their mean is the AUC.

    An item contributes the share of mismatched scores below its true score, plus the share of true
    scores above its mismatched score, minus the AUC; ties count one half. These are both structural
    components of DeLong et al. (1988). The mean over a bootstrap sample of items equals the AUC of
    that sample up to terms of the order 1 / n.

    Args:
        true, mismatched: [n] scores of each item's true and mismatched pair, n > 0.

    Returns:
        [n] in [-1, 2].

    Examples:
        The first true score is above both mismatched scores, the second above one of them: AUC 3/4.

        >>> float(auc_values(np.array([0.9, 0.4]), np.array([0.1, 0.5])).mean())
        0.75
    """
    own = _shares_below(true, mismatched)
    other = 1 - _shares_below(mismatched, true)
    return own + other - own.mean()


def _shares_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of `others` below each value; equal ones count one half."""
    ordered = np.sort(others)
    below, not_above = (np.searchsorted(ordered, values, end) for end in ("left", "right"))
    return (below + not_above) / (2 * len(ordered))
