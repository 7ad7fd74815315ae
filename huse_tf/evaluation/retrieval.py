"""Exact retrieval metrics in bounded memory: recall, median rank, mAP and hierarchical precision.

Scores are cosines. TIE RULE: of candidates with equal scores (to about six decimals) those that are
not relevant come first, so that collapsed embeddings never look good.

How it is quick: a score is rounded to an integer whose lowest bit says "relevant". Sorting these
integers ranks the candidates, breaks the ties, and carries the relevance along; no argsort is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

# Cosines are compared in steps of 2^-20: coarser than the rounding of a float32 matmul (about 1e-7),
# finer than any difference that matters.
_STEPS = 2**20
# Sorts behind every candidate; even, hence not relevant.
_EXCLUDED = np.iinfo(np.int32).max - 1

Relevance = Literal["class", "item"]
# What is no candidate of a query: nothing, the query itself, or its product with all that it has.
Excluded = Literal["nothing", "query", "product"]


@dataclasses.dataclass(frozen=True, eq=False)
class Gallery:
    """Embeddings of one modality with what is known of them; n queries or candidates.

    Items that lack the modality are not among them, so n may be 0.

    Attributes:
        embeddings: [n, D] float32, unit norm.
        labels: [n] class ids, or [n, K] float32 multi-hot where items have several classes.
        products: [n] int ids; the image and the text gallery use the same ids.
        items: [n] int ids, distinct; by them a query is known among the candidates of its modality.

    Raises:
        ValueError: embeddings that are not finite and of unit norm, or ids of another length.
    """

    embeddings: np.ndarray
    labels: np.ndarray
    products: np.ndarray
    items: np.ndarray

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2:
            raise ValueError(f"Embeddings are [n, D]. Received shape: {self.embeddings.shape}.")
        for name, dimensions in (("labels", (1, 2)), ("products", (1,)), ("items", (1,))):
            known = getattr(self, name)
            if len(known) != len(self) or known.ndim not in dimensions:
                raise ValueError(
                    f"Expected one of {name} for each of {len(self)} embeddings. "
                    f"Received shape: {known.shape}."
                )
        norms = np.linalg.norm(self.embeddings, axis=1)
        wrong = ~(np.abs(norms - 1.0) < 1e-3)  # also true of NaN
        if wrong.any():
            raise ValueError(
                "Embeddings must be finite and of unit norm (has training diverged?). "
                f"Received: {wrong.sum()} of {len(self)} others, the first with norm "
                f"{norms[wrong][0]}."
            )

    def __len__(self) -> int:
        return len(self.embeddings)

    def __getitem__(self, rows: slice | np.ndarray) -> Gallery:
        """Some of the entries."""
        return Gallery(
            self.embeddings[rows], self.labels[rows], self.products[rows], self.items[rows]
        )


def text_gallery(gallery: Gallery, texts: Sequence[str]) -> Gallery:
    """The gallery with one entry per distinct (product, text), the first of each.

    Several pictures of one product share one text. Counted once per picture, that text would fill
    the top ranks with copies of itself and inflate the figures.

    Args:
        gallery: the texts' embeddings, one per item.
        texts: n texts.
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

    Queries without a relevant candidate are left out of the means, and counted; one whose class has
    no other product is such a query where its own product is excluded.

    Args:
        queries, candidates: where to search from and what to find.
        relevance: "class" - a candidate of the query's class is relevant (HUSE, DSCMR), or one that
            shares at least one of its classes. "item" - a candidate of the query's product is.
        excluded: what is left out of each query's candidates. "product" - all of the query's own
            product: what is found by class is then another product. "query" - the query itself, known
            by its item id, which is among the candidates within a modality. "nothing" - across
            modalities the item's own counterpart stays, for it is what relevance "item" looks for.
        recall_at: cut-offs k.
        chunk: queries scored at once; memory is about 16 bytes × chunk × candidates.

    Returns:
        `recall_at_K`: share of queries with a relevant candidate among the first K;
        `median_rank`: median over queries of the rank (from 1) of the first relevant candidate;
        `mean_average_precision`: over all candidates; a query's AP is the mean, over the ranks j of
        its relevant candidates, of the precision at j (DSCMR, section 4);
        `queries`, `queries_without_relevant`: counts. If `queries` is 0, only the counts are there.
    """

    rows, ranks, precisions = query_ranks(queries, candidates, relevance, excluded, chunk)
    metrics = {
        "queries": float(len(rows)),
        "queries_without_relevant": float(len(queries) - len(rows)),
    }
    if len(rows):
        metrics |= {f"recall_at_{k}": float(np.mean(ranks <= k)) for k in recall_at}
        metrics["median_rank"] = float(np.median(ranks))
        metrics["mean_average_precision"] = float(np.mean(precisions))
    return metrics


def query_ranks(
    queries: Gallery,
    candidates: Gallery,
    relevance: Relevance,
    excluded: Excluded,
    chunk: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `retrieval_metrics` is the mean of, for each query that has a relevant candidate.

    Args:
        queries, candidates, relevance, excluded, chunk: as for `retrieval_metrics`.

    Returns:
        ([m] places of these queries, [m] rank from 1 of the first relevant candidate, [m] average
        precision in (0, 1]).
    """

    def is_relevant(rows: slice) -> np.ndarray:
        if relevance == "item":
            return queries.products[rows, None] == candidates.products
        if queries.labels.ndim == 1:
            return queries.labels[rows, None] == candidates.labels
        return queries.labels[rows] @ candidates.labels.T > 0

    found, first_ranks, precisions = [], [], []
    for start, keys in _keys(queries, candidates, excluded, chunk, is_relevant):
        keys.sort(axis=1)
        rows, first_rank, average_precision = _rank_figures((keys & 1).astype(bool))
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
    """Mean over all queries of `hierarchical_precisions`; arguments as there."""
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
    """[n] for each query the share of the first k whose class is correct (HUSE; DeViSE).

    Divided by k even where fewer candidates are left: an empty place is a wrong one.

    Args:
        queries, candidates, excluded, chunk: as for `retrieval_metrics`.
        correct_set: [K, K] bool, row = true class, the classes that count as correct for it among
            the first k (DeViSE's hCorrectSet for this k). With several classes an item, the sets of
            the query's classes are united, and one class of the candidate in them is enough.
        k: how many candidates are looked at.
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
) -> Iterator[tuple[int, np.ndarray]]:
    """Each chunk's first query, and sort keys [rows, candidates] int32; the lowest bit says relevant.

    Ascending keys are descending scores, and of equal scores the irrelevant come first.
    """
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        scores = queries.embeddings[rows] @ candidates.embeddings.T
        scores *= -_STEPS
        keys = np.rint(scores, out=scores).astype(np.int32)
        keys <<= 1
        keys |= is_relevant(rows)
        if excluded == "product":
            keys[queries.products[rows, None] == candidates.products] = _EXCLUDED
        elif excluded == "query":
            keys[queries.items[rows, None] == candidates.items] = _EXCLUDED
        yield start, keys


def _rank_figures(relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, first relevant rank and average precision of the queries with a relevant candidate.

    Args:
        relevant: [rows, candidates] bool, in the order of the ranks.
    """
    # Six times as fast as np.nonzero on two dimensions.
    rows, columns = np.divmod(np.flatnonzero(relevant), relevant.shape[1])
    counts = np.bincount(rows, minlength=len(relevant))
    starts = np.cumsum(counts) - counts
    hits = np.arange(len(rows)) - starts[rows] + 1
    precisions = np.bincount(rows, weights=hits / (columns + 1), minlength=len(relevant))
    found = np.flatnonzero(counts)
    return found, columns[starts[found]] + 1, precisions[found] / counts[found]
