"""Whether the difference of two methods on the same queries is significant, alone or among many."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

_CHUNK = 256  # resamples drawn at once


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean difference of two methods over the same queries.

    Attributes:
        mean: of the first method's values minus the second's.
        low, high: ends of the 95 % percentile interval.
        p: two-sided, in (0, 1]: twice the share of resamples whose difference has the other sign.
    """

    mean: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    one: np.ndarray,
    other: np.ndarray,
    clusters: np.ndarray,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """The paired bootstrap (Efron and Tibshirani 1993, chapter 16), over clusters of queries.

    Clusters are drawn with replacement, each with all of its queries: the images of one product, or one
    product in the test splits of several seeds, are not independent.

    Args:
        one, other: [n] values of a metric of two methods, query by query.
        clusters: [n] the cluster of each query (its product), of any type.
        resamples: number of resamples; the smallest p is 1 / resamples.
        seed: of the draws.

    Raises:
        ValueError: the arrays have different lengths, or are empty.

    Examples:
        The first method answers each of ten products' queries, the second none of them:

        >>> found = paired_bootstrap(np.ones(10), np.zeros(10), clusters=np.arange(10))
        >>> found.mean, found.low, found.high, found.p
        (1.0, 1.0, 1.0, 0.0005)
    """
    if not len(one) == len(other) == len(clusters) or not len(one):
        raise ValueError(
            "Expected one value of each method and one cluster for each query. Received: "
            f"{len(one)} and {len(other)} values, {len(clusters)} clusters."
        )
    codes = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(codes)
    sums = np.bincount(codes, np.asarray(one, float) - np.asarray(other, float))
    generator = np.random.default_rng(seed)
    shares = np.full(len(sizes), 1 / len(sizes))
    means = []
    for start in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - start)
        times = generator.multinomial(len(sizes), shares, count)
        means.append((times @ sums) / (times @ sizes))
    drawn = np.concatenate(means)
    low, high = np.quantile(drawn, (0.025, 0.975))
    tail = min(float(np.mean(drawn <= 0)), float(np.mean(drawn >= 0)))
    p = min(1.0, max(2 * tail, 1 / resamples))
    return Difference(float(sums.sum() / sizes.sum()), float(low), float(high), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects the p-values of a family of tests for their number (Holm 1979).

    If each is compared with a level, the chance that any true null hypothesis of the family is rejected is
    at most that level, however the tests depend on each other. The smallest of m p-values is multiplied by
    m, the next one by m - 1, and so on; none becomes smaller than one before it, or larger than 1.

    Args:
        p_values: [m] in [0, 1], in any order.

    Returns:
        [m] corrected p-values in the order of the given ones.

    Examples:
        The smallest counts three times, the next one twice; the largest, once, is raised to that one:

        >>> [round(p, 6) for p in holm([0.04, 0.01, 0.03])]
        [0.06, 0.03, 0.06]
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected
