"""Class scores as probabilities: temperature scaling, calibration error, and a threshold for a precision.

A score is calibrated if, of the items whose best class scores s, the share s is right (Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks", ICML 2017).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from huse_tf.evaluation.class_ranking import top_hits

BINS = 15  # as in Guo et al.
TEMPERATURES = (0.01, 100.0)  # the range that is searched
FEWEST_PRODUCTS = 20  # that a threshold must accept on the items that it is chosen on
# Probabilities in float32 may be 0 or 1, whose logs are infinite.
_LEAST, _MOST = float(np.finfo(np.float32).tiny), 1.0 - float(np.finfo(np.float32).epsneg)


def tempered(
    probabilities: np.ndarray, temperature: float, multi_label: bool = False
) -> np.ndarray:
    """The probabilities at a temperature; the order of an item's classes stays.

    Args:
        probabilities: [n, K] in [0, 1].
        temperature: above 0. Above 1 it makes them more equal, below 1 more extreme; 1 changes nothing.
        multi_label: whether each class has a probability of its own.

    Returns:
        [n, K] float64: softmax(log(p) / temperature), with `multi_label` sigmoid(logit(p) / temperature).

    Examples:
        Temperature ½ squares the odds, 4 : 1 becomes 16 : 1:

        >>> tempered(np.array([[0.8, 0.2]]), 0.5) * 17
        array([[16.,  1.]])
    """
    logits = _logits(probabilities, multi_label) / temperature
    return np.asarray(expit(logits) if multi_label else softmax(logits, axis=1))


def negative_log_likelihood(
    probabilities: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> float:
    """Mean over items of −log of the probability of the true class, at a temperature.

    Of an item of several classes: the sum over all classes, as if these were independent.

    Args:
        probabilities: [n, K] in [0, 1].
        labels: [n] class ids, or [n, K] multi-hot.
        temperature: above 0.

    Returns:
        A number from 0, in nats.

    Examples:
        >>> probabilities, labels = np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1])
        >>> round(negative_log_likelihood(probabilities, labels), 4)  # −(log .8 + log .5) / 2
        0.4581
    """
    logits = _logits(probabilities, labels.ndim == 2) / temperature
    if labels.ndim == 1:
        return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
    # −log sigmoid(x) = log(1 + exp(−x))
    return float(np.logaddexp(0.0, np.where(labels > 0, -logits, logits)).sum(axis=1).mean())


def choose_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the lowest negative log-likelihood; for validation items.

    If every item is right, the likelihood grows without end as the temperature falls. Then the least sure item
    is counted once more with its second best class as the truth (of several labels, with its least sure label
    reversed), as if the next item were wrong.

    Args:
        probabilities: [n, K] in [0, 1].
        labels: [n] class ids, or [n, K] multi-hot.

    Returns:
        A number in `TEMPERATURES`; 1 if there is no item, or only one class.

    Examples:
        Each item gives its best class .9, but only three of four are right. The best temperature makes it .75,
        so log(9) / T = log(3):

        >>> probabilities = np.array([[0.9, 0.1]] * 4)
        >>> round(choose_temperature(probabilities, np.array([0, 0, 0, 1])), 3)
        2.0
    """
    if not len(labels) or (labels.ndim == 1 and probabilities.shape[1] == 1):
        return 1.0
    probabilities, labels = _with_an_error(probabilities, labels)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(probabilities, labels, float(np.exp(log_t))),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    return float(np.exp(found.x))


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """Items in bins by the score of their best class.

    Attributes:
        counts: [B] number of items.
        scores: [B] mean score of the items; NaN in an empty bin.
        right: [B] share of the items whose best class is right; NaN in an empty bin.
    """

    counts: np.ndarray
    scores: np.ndarray
    right: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error in [0, 1]; 0 without an item.

        The mean distance of score and share of right items, weighted by the number of items in the bin.
        """
        if not self.counts.sum():
            return 0.0
        gaps = np.nan_to_num(np.abs(self.scores - self.right))
        return float(np.average(gaps, weights=self.counts))


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Sorts items into bins of equal width, as Guo et al.; bin m holds scores in ((m − 1) / bins, m / bins].

    Args:
        scores: [n] in [0, 1], of each item's best class.
        right: [n] bool, whether that class is right.
        bins: their number.

    Examples:
        Two items of score .9, one of them right: the score is .4 too high.

        >>> round(reliability(np.array([0.9, 0.9]), np.array([True, False])).error, 3)
        0.4
    """
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    places = np.searchsorted(inner, scores)
    counts = np.bincount(places, minlength=bins)
    some = np.where(counts, counts, np.nan)
    return Reliability(
        counts,
        np.bincount(places, weights=scores, minlength=bins) / some,
        np.bincount(places, weights=right, minlength=bins) / some,
    )


def best_scores(
    probabilities: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """([n] score of each item's best class at a temperature, [n] bool: whether that class is right).

    Args:
        probabilities: [n, K] in [0, 1].
        labels: [n] class ids, or [n, K] multi-hot; one of several classes is enough.
        temperature: above 0.
    """
    scores = tempered(probabilities, temperature, labels.ndim == 2).max(axis=1, initial=0.0)
    return scores, top_hits(probabilities, labels)


# Threshold, share of the accepted items that are right, share of the items that are accepted.
Row = tuple[float, float, float]


def precision_frontier(
    scores: np.ndarray, right: np.ndarray, products: np.ndarray | None = None
) -> list[Row]:
    """The thresholds that are worth having: each is the lowest one with its precision or more.

    Images of one product are right or wrong together, and a few products at the top say nothing of a rate.

    Args:
        scores: [n] of each item's best class. An item is accepted if its score is at least the threshold.
        right: [n] bool, whether that class is right.
        products: [n] product of each item, of any type. Thresholds that accept items of fewer than
            `FEWEST_PRODUCTS` are left out. None: all are kept.

    Returns:
        (threshold, precision, coverage), thresholds and precisions ascending.

    Examples:
        >>> for row in precision_frontier(np.array([0.9, 0.7, 0.5, 0.3]), np.array([True, True, False, True])):
        ...     print(*row)
        0.3 0.75 1.0
        0.7 1.0 0.5
    """
    thresholds, places = np.unique(scores, return_inverse=True)
    accepted = np.bincount(places)[::-1].cumsum()[::-1]
    hits = np.bincount(places, weights=right)[::-1].cumsum()[::-1]
    enough = len(thresholds)
    if products is not None:
        # A product is accepted up to the score of its best item.
        codes = np.unique(products, return_inverse=True)[1]
        best = np.full(codes.max(initial=-1) + 1, -1)
        np.maximum.at(best, codes, places)
        owners = np.bincount(best, minlength=len(thresholds))[::-1].cumsum()[::-1]
        enough = int(np.sum(owners >= FEWEST_PRODUCTS))
    rows: list[Row] = []
    precisions = hits / np.maximum(accepted, 1)
    for threshold, precision, count in zip(
        thresholds[:enough], precisions[:enough], accepted[:enough], strict=True
    ):
        if not rows or precision > rows[-1][1]:
            rows.append((float(threshold), float(precision), float(count / len(scores))))
    return rows


def threshold_for(frontier: Sequence[Row], precision: float) -> float | None:
    """The lowest threshold with this precision, or None if no threshold reaches it.

    The precision is that of the items that the frontier was made from. Other items may have less: of several
    thresholds the one that suits these items is taken, and few items may decide.

    Args:
        frontier: from `precision_frontier` of validation items.
        precision: in (0, 1].

    Examples:
        >>> threshold_for([(0.3, 0.75, 1.0), (0.7, 0.9, 0.5)], 0.8)
        0.7
        >>> threshold_for([(0.3, 0.75, 1.0), (0.7, 0.9, 0.5)], 0.95)
    """
    return next((threshold for threshold, reached, _ in frontier if reached >= precision), None)


def _logits(probabilities: np.ndarray, multi_label: bool) -> np.ndarray:
    """[n, K] float64 numbers whose softmax, or sigmoid, are the probabilities."""
    wide = np.clip(probabilities.astype(np.float64), _LEAST, None)
    if not multi_label:
        return np.asarray(np.log(wide))
    wide = np.minimum(wide, _MOST)
    return np.asarray(np.log(wide) - np.log1p(-wide))


def _with_an_error(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The items, with one more that is wrong if all are right."""
    if labels.ndim == 1:
        if not top_hits(probabilities, labels).all():
            return probabilities, labels
        second, first = np.argsort(probabilities, axis=1, kind="stable")[:, -2:].T
        rows = np.arange(len(labels))
        row = np.argmin(probabilities[rows, first] - probabilities[rows, second])
        extra = second[row]
    else:
        if not np.array_equal(probabilities > 0.5, labels > 0):
            return probabilities, labels
        row, column = np.unravel_index(np.argmin(np.abs(probabilities - 0.5)), labels.shape)
        extra = labels[row].copy()
        extra[column] = 1 - extra[column]
    return np.concatenate([probabilities, probabilities[row : row + 1]]), np.concatenate(
        [labels, extra[None]]
    )
