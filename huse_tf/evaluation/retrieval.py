"""Exact retrieval metrics in bounded memory: recall, median rank, mAP and hierarchical precision.

Scores are cosines. TIE RULE: of candidates with equal scores (to about six decimals) the irrelevant ones
come first, so that collapsed embeddings never look good.

Method: a score is rounded to an integer whose lowest bit is 1 for a relevant candidate. Sorting these
integers ranks the candidates, breaks the ties and keeps the relevance, without an argsort.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from scipy.stats import hypergeom

# Cosines are compared in steps of 2^-20: coarser than the rounding of a float32 matmul (about 1e-7),
# finer than any difference that matters.
_STEPS = 2**20
# Sorts behind every candidate; even, hence not relevant.
_EXCLUDED = np.iinfo(np.int32).max - 1

Relevance = Literal["class", "item"]
# What a query may not find: nothing, the query itself, or all images and texts of its product.
Excluded = Literal["nothing", "query", "product"]
# The scores [rows, candidates] of a slice of the queries, in place of cosines. Below 1,000 in size.
Score = Callable[[slice], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Gallery:
    """n embeddings of one modality, as queries or candidates, with their classes and products.

    Items that lack the modality are left out, so n may be 0.

    Attributes:
        embeddings: [n, D] float32, unit norm.
        labels: [n] class ids, or [n, K] float32 multi-hot where items have several classes.
        products: [n] int ids, the same in the image and the text gallery.
        items: [n] distinct int ids, which tell a query from the other candidates of its modality.

    Raises:
        ValueError: embeddings are not finite or not of unit norm, or ids have another length.
    """

    embeddings: np.ndarray
    labels: np.ndarray
    products: np.ndarray
    items: np.ndarray

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2:
            raise ValueError(
                f"Expected embeddings of shape [n, D]. Received shape: {self.embeddings.shape}."
            )
        for name, dimensions in (("labels", (1, 2)), ("products", (1,)), ("items", (1,))):
            known = getattr(self, name)
            if len(known) != len(self) or known.ndim not in dimensions:
                raise ValueError(
                    f"Expected an entry of {name} for each of {len(self)} embeddings. "
                    f"Received shape: {known.shape}."
                )
        norms = np.linalg.norm(self.embeddings, axis=1)
        wrong = ~(np.abs(norms - 1.0) < 1e-3)  # also true of NaN
        if wrong.any():
            raise ValueError(
                "Expected finite embeddings of unit norm (has training diverged?). "
                f"Received: {wrong.sum()} of {len(self)} with another norm, the first with "
                f"{norms[wrong][0]}."
            )

    def __len__(self) -> int:
        return len(self.embeddings)

    def __getitem__(self, rows: slice | np.ndarray) -> Gallery:
        """The gallery of these entries."""
        return Gallery(
            self.embeddings[rows], self.labels[rows], self.products[rows], self.items[rows]
        )


def text_gallery(gallery: Gallery, texts: Sequence[str]) -> Gallery:
    """The first entry of each distinct (product, text).

    Several images of one product share one text. Counted once per image, the text would fill the top
    ranks with copies of itself and inflate the metrics.

    Args:
        gallery: embeddings of texts, one per item.
        texts: [n] the items' texts.
    """
    first: dict[tuple[int, str], int] = {}
    for row, key in enumerate(zip(gallery.products.tolist(), texts, strict=True)):
        first.setdefault(key, row)
    return gallery[np.fromiter(first.values(), dtype=np.int64, count=len(first))]


def retrieval_metrics(
    queries: Gallery,
    candidates: Gallery,
    relevance: Relevance,
    excluded: Excluded,
    recall_at: Sequence[int],
    chunk: int,
) -> dict[str, float]:
    """Recall at k, median rank and mean average precision of one task.

    Queries without a relevant candidate are left out of the means, and counted. With `excluded`
    "product", a query whose class has no other product is such a query.

    Args:
        queries: the gallery whose entries search.
        candidates: the gallery that they search in, of the same embedding space.
        relevance: "class": relevant candidates share the query's class (HUSE, DSCMR), or at least one of
            its classes. "item": relevant candidates belong to the query's product.
        excluded: the candidates that a query may not find. "product": all of its own product, so that
            relevance "class" asks for other products. "query": the query itself, known by its item id,
            within a modality. "nothing": across modalities, where relevance "item" asks for the item's
            counterpart.
        recall_at: cut-offs k.
        chunk: queries scored at once; memory is about 16 bytes × chunk × candidates.

    Returns:
        `recall_at_K`: share of queries with a relevant candidate among the first K, in [0, 1].
        `median_rank`: median over queries of the rank (from 1) of the first relevant candidate.
        `mean_average_precision`: in (0, 1], over all candidates; a query's average precision is the mean
        of the precisions at the ranks of its relevant candidates (DSCMR, section 4).
        `queries`, `queries_without_relevant`: counts. `candidates`: the size of the gallery that is searched,
        with the candidates that a query may not find. If `queries` is 0, only these are returned.

    Examples:
        One query of class 0. Its nearest candidate has class 1, the second class 0, so the average precision
        is 1/2:

        >>> query = Gallery(np.array([[1.0, 0.0]]), np.array([0]), np.array([7]), np.array([0]))
        >>> candidates = Gallery(
        ...     np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([1, 0]), np.array([8, 9]), np.array([1, 2])
        ... )
        >>> found = retrieval_metrics(query, candidates, "class", "product", recall_at=(1, 2), chunk=512)
        >>> found["recall_at_1"], found["recall_at_2"], found["mean_average_precision"]
        (0.0, 1.0, 0.5)
    """
    rows, ranks, precisions = query_ranks(queries, candidates, relevance, excluded, chunk)
    metrics = {
        "queries": float(len(rows)),
        "queries_without_relevant": float(len(queries) - len(rows)),
        "candidates": float(len(candidates)),
    }
    if len(rows):
        metrics |= {f"recall_at_{k}": float(np.mean(ranks <= k)) for k in recall_at}
        metrics["median_rank"] = float(np.median(ranks))
        metrics["mean_average_precision"] = float(np.mean(precisions))
    return metrics


def chance_recalls(
    queries: Gallery, candidates: Gallery, itself: bool, recall_at: Sequence[int]
) -> dict[str, float]:
    """`chance_recall_at_K`: the recall of the own product that a random order of the candidates has.

    Args:
        queries, candidates, recall_at: as for `retrieval_metrics` with relevance "item".
        itself: whether the query is among the candidates, and excluded.

    Returns:
        Means over the queries that have a relevant candidate; empty if there are none. The number of
        relevant candidates among the first K of a random order is hypergeometric.

    Examples:
        One text of the query's product among four: the first one is right one time in four.

        >>> ids = np.arange(4)
        >>> texts = Gallery(np.eye(4), ids, products=ids, items=ids)
        >>> chance_recalls(texts[:1], texts, itself=False, recall_at=(1, 2))
        {'chance_recall_at_1': 0.25, 'chance_recall_at_2': 0.5}
    """
    sizes = dict(zip(*np.unique(candidates.products, return_counts=True), strict=True))
    relevant = np.array([sizes.get(product, 0) for product in queries.products]) - itself
    numbers, times = np.unique(relevant[relevant > 0], return_counts=True)
    if not len(numbers):
        return {}
    count = len(candidates) - itself
    return {
        f"chance_recall_at_{k}": float(
            np.average(hypergeom.sf(0, count, numbers, min(k, count)), weights=times)
        )
        for k in recall_at
    }


def query_ranks(
    queries: Gallery,
    candidates: Gallery,
    relevance: Relevance,
    excluded: Excluded,
    chunk: int,
    score: Score | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ranks and average precisions of each query that has a relevant candidate.

    Args:
        queries, candidates, relevance, excluded, chunk: as for `retrieval_metrics`.
        score: what candidates are ranked by. Default: the cosine.

    Returns:
        ([m] row numbers of these queries, [m] rank from 1 of the first relevant candidate, [m] average
        precision in (0, 1]).
    """

    def is_relevant(rows: slice) -> np.ndarray:
        if relevance == "item":
            return queries.products[rows, None] == candidates.products
        if queries.labels.ndim == 1:
            return queries.labels[rows, None] == candidates.labels
        return queries.labels[rows] @ candidates.labels.T > 0

    found, first_ranks, precisions = [], [], []
    for start, keys in _keys(queries, candidates, excluded, chunk, is_relevant, score):
        keys.sort(axis=1)
        rows, first_rank, average_precision = _relevant_ranks((keys & 1).astype(bool))
        found.append(rows + start)
        first_ranks.append(first_rank)
        precisions.append(average_precision)
    return np.concatenate(found), np.concatenate(first_ranks), np.concatenate(precisions)


def hierarchical_precision(
    queries: Gallery,
    candidates: Gallery,
    correct_set: np.ndarray,
    k: int,
    excluded: Excluded,
    chunk: int,
) -> float:
    """The mean of `hierarchical_precisions` over all queries; the arguments are the same.

    Examples:
        Classes 0 and 1 are near each other, class 2 is far. The query's first two candidates have the classes
        1 and 2, so half of them are near:

        >>> near = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
        >>> query = Gallery(np.array([[1.0, 0.0]]), np.array([0]), np.array([7]), np.array([0]))
        >>> candidates = Gallery(
        ...     np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([1, 2]), np.array([8, 9]), np.array([1, 2])
        ... )
        >>> hierarchical_precision(query, candidates, near, k=2, excluded="product", chunk=512)
        0.5
    """
    return float(
        np.mean(hierarchical_precisions(queries, candidates, correct_set, k, excluded, chunk))
    )


def hierarchical_precisions(
    queries: Gallery,
    candidates: Gallery,
    correct_set: np.ndarray,
    k: int,
    excluded: Excluded,
    chunk: int,
) -> np.ndarray:
    """[n] for each query the share in [0, 1] of the first k candidates whose class is correct.

    HUSE, section 4, after DeViSE, section 4.2. If fewer than k candidates are left, the rest count as
    wrong.

    Args:
        queries, candidates, excluded, chunk: as for `retrieval_metrics`.
        correct_set: [K, K] bool, row = true class, column = class that counts as correct for it
            (DeViSE's hCorrectSet for this k, `Taxonomy.correct_sets`). If items have several classes, the
            sets of the query's classes are united, and one class of the candidate in them is enough.
        k: the cut-off.
    """

    def is_correct(rows: slice) -> np.ndarray:
        if queries.labels.ndim == 1:
            return correct_set[queries.labels[rows]][:, candidates.labels]
        united = queries.labels[rows] @ correct_set.astype(np.float32) > 0
        return united.astype(np.float32) @ candidates.labels.T > 0

    shares = []
    for _, keys in _keys(queries, candidates, excluded, chunk, is_correct):
        if k < len(candidates):
            keys = np.partition(keys, k - 1, axis=1)[:, :k]
        shares.append(np.sum(keys & 1, axis=1) / k)
    return np.concatenate(shares)


def _keys(
    queries: Gallery,
    candidates: Gallery,
    excluded: Excluded,
    chunk: int,
    is_relevant: Callable[[slice], np.ndarray],
    score: Score | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each chunk's first query and its sort keys [rows, candidates] int32.

    Ascending keys mean descending scores. The lowest bit is 1 for a relevant candidate, so of equal scores
    the irrelevant come first.
    """
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        if score is None:
            scores = queries.embeddings[rows] @ candidates.embeddings.T
        else:
            scores = score(rows)
        scores *= -_STEPS
        keys = np.rint(scores, out=scores).astype(np.int32)
        keys <<= 1
        keys |= is_relevant(rows)
        if excluded == "product":
            keys[queries.products[rows, None] == candidates.products] = _EXCLUDED
        elif excluded == "query":
            keys[queries.items[rows, None] == candidates.items] = _EXCLUDED
        yield start, keys


def _relevant_ranks(relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row number, first relevant rank and average precision of each query with a relevant candidate.

    Args:
        relevant: [queries, candidates] bool, in the order of the ranks.
    """
    # Six times as fast as np.nonzero on two dimensions.
    rows, columns = np.divmod(np.flatnonzero(relevant), relevant.shape[1])
    counts = np.bincount(rows, minlength=len(relevant))
    starts = np.cumsum(counts) - counts
    hits = np.arange(len(rows)) - starts[rows] + 1
    precisions = np.bincount(rows, weights=hits / (columns + 1), minlength=len(relevant))
    found = np.flatnonzero(counts)
    return found, columns[starts[found]] + 1, precisions[found] / counts[found]
