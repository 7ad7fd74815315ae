"""Matching pair by pair, as FashionBERT measures it (Gao et al. 2020, section 4).

A pair is an image and a text, or a product and a query; a product is then its image together with the text
beside the query. Accuracy: a true and a mismatched pair of each product are told apart. Rank@k: an image
ranks 101 texts, its own and those of 100 other products, and a text ranks 101 images. The other products
are drawn by seed, once from all products and once from those of the same class. Models with embeddings
score a pair by its cosine, so that they can be compared with pair scorers, which have no embeddings.

TIE RULE: of candidates with equal scores (to about five decimals) the true one comes last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from huse_tf import keys
from huse_tf.changes.query_ids import query_lengths, query_numbers, with_queries
from huse_tf.evaluation.roc import auc_values
from huse_tf.sections import EvaluationConfig

OTHERS = 100  # candidates beside the true one
_STEPS = 2**16  # scores are compared in steps of 1 / this
_PAIRS_A_BATCH = 256

# The two parts of a pair, as metric paths name them.
IMAGE_AND_TEXT = (keys.IMAGE, keys.TEXT)
PRODUCT_AND_QUERY = ("product", "query")

# ([n] items, [n] items) -> [n] scores of the pairs of the first items' images (or products) and the second
# items' texts (or queries); a higher score is a likelier match.
PairScore = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Metrics that are no means over queries, and ([n] items, [n] values) of the metrics that are.
_MetricsAndValues = tuple[dict[str, float], dict[str, tuple[np.ndarray, np.ndarray]]]


@dataclasses.dataclass(frozen=True, eq=False)
class PairItems:
    """The n items whose pairs are scored.

    Attributes:
        products: [n] ids.
        labels: [n] class ids, or [n, K] multi-hot.
        texts: [n] texts (or queries), or numbers that are equal for equal texts.
        complete: [n] bool, True for items that have both parts of a pair.
        parts: the two parts of a pair, as metric paths name them.
    """

    products: np.ndarray
    labels: np.ndarray
    texts: Sequence[str] | np.ndarray
    complete: np.ndarray
    parts: tuple[str, str] = IMAGE_AND_TEXT


@dataclasses.dataclass(frozen=True, eq=False)
class PairMetrics:
    """The metrics of a model by its pairs; see `pair_metrics`.

    Attributes:
        metrics: by metric path.
        undefined: beginning of the metric paths that these items cannot define -> reason.
        queries: metric path -> ([n] row numbers of items, [n] values), of the metrics that are means over
            items. The values of an AUC are each item's contribution to it (`auc_values`).
    """

    metrics: Mapping[str, float]
    undefined: Mapping[str, str]
    queries: Mapping[str, tuple[np.ndarray, np.ndarray]]


def scores_pairs(model: keras.Model) -> bool:
    """Whether the model is a pair scorer, which has match logits and no embeddings."""
    return keys.MATCH_LOGITS in model.output


def score_of_model(
    model: keras.Model, features: Mapping[str, Any], query_end: int | None = None
) -> PairScore:
    """Scores pairs by the match logits of a pair scorer, dropout off, in batches.

    Args:
        model: with match logits.
        features: of n items, by key (keys.py).
        query_end: the word id that ends a query, for a model that scores products and queries.
    """
    # Only the match logits, without the heads of hidden words and patches. Traced, because eager execution
    # takes twice as long.
    matcher = keras.Model(model.input, model.output[keys.MATCH_LOGITS])
    forward = tf.function(lambda batch: matcher(batch, training=False), reduce_retracing=True)

    def score(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
        logits = [np.zeros(0, np.float32)]
        for start in range(0, len(images), _PAIRS_A_BATCH):
            rows = slice(start, start + _PAIRS_A_BATCH)
            ids = features[keys.TEXT_FEATURES]
            text = ids[texts[rows]]
            if query_end is not None:
                text = with_queries(ids[images[rows]], text, query_end)
            batch = {
                keys.IMAGE_FEATURES: features[keys.IMAGE_FEATURES][images[rows]],
                keys.TEXT_FEATURES: text,
            }
            logits.append(np.asarray(forward({k: tf.constant(v) for k, v in batch.items()})))
        return np.concatenate(logits)

    return score


def score_of_embeddings(images: np.ndarray, texts: np.ndarray) -> PairScore:
    """Scores pairs by the cosine of embeddings [n, D] of unit norm.

    Examples:
        >>> score = score_of_embeddings(np.eye(2), np.array([[1.0, 0.0], [0.6, 0.8]]))
        >>> score(np.array([0, 1]), np.array([0, 1]))
        array([1. , 0.8], dtype=float32)
    """

    def score(image_rows: np.ndarray, text_rows: np.ndarray) -> np.ndarray:
        cosines = np.zeros(len(image_rows), np.float32)
        for start in range(0, len(image_rows), 4096):
            rows = slice(start, start + 4096)
            cosines[rows] = np.einsum("nd,nd->n", images[image_rows[rows]], texts[text_rows[rows]])
        return cosines

    return score


def pair_metrics(
    score: PairScore,
    items: PairItems,
    config: EvaluationConfig,
    *,
    threshold: float | None = None,
    quick: bool = False,
) -> PairMetrics:
    """Accuracy, AUC and Rank@k of pairs, by metric path.

    One item per product takes part. A candidate belongs to another product and has another text.

    Args:
        score: of pairs of these items.
        items: the items.
        config: the cut-offs, the number of queries, and the seed of the draws.
        threshold: a score above it is a match; None if scores have no such threshold, as cosines.
        quick: only accuracy and AUC, of at most `config.validation_pairs` products.

    Returns:
        metrics, under `pairs/`, and for candidates of the same class under `pairs/same_class/`:
        `accuracy` (chance: one half) and `auc` over a true and a mismatched pair per product, and their
        number `products`; `image_to_text/rank_at_K` and `text_to_image/rank_at_K`, or with other
        `parts` `product_to_query/…` and `query_to_product/…`: the share of queries whose true candidate
        is among the first K; `chance_rank_at_K` of a random order; `candidates`, their mean number,
        below 101 if there are fewer products; `queries`, their number.
        queries, of `accuracy`, `auc` and `rank_at_K`: models measured on the same split have the same
        queries.

    Examples:
        Three products of one class. The score is right about each pair, so every product is told apart:

        >>> items = PairItems(np.arange(3), np.zeros(3, int), ["a", "b", "c"], np.ones(3, bool))
        >>> found = pair_metrics(lambda i, t: (i == t) - 0.5, items, EvaluationConfig(), threshold=0.0)
        >>> found.metrics["pairs/accuracy"], found.metrics["pairs/image_to_text/rank_at_1"]
        (1.0, 1.0)
        >>> found.metrics["pairs/candidates"]
        3.0
    """
    generator = np.random.default_rng(config.pair_seed)
    chosen = _one_per_product(generator.permutation(np.flatnonzero(items.complete)), items.products)
    if quick:
        chosen = chosen[: config.validation_pairs]
    text_ids = np.unique(np.asarray(items.texts, dtype=object).astype(str), return_inverse=True)[1]
    metrics: dict[str, float] = {}
    undefined: dict[str, str] = {}
    by_query: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for prefix, same_class in (("pairs", False), ("pairs/same_class", True)):
        queries = chosen[: 0 if quick else config.pair_queries]
        draw = _Draw(chosen, items.labels, text_ids, same_class, generator)
        mismatched = [draw.others(item, 1) for item in chosen]
        others = [draw.others(item, OTHERS) for item in queries]
        found = [
            _two_way_values(score, chosen, mismatched, threshold),
            _rank_values(score, queries, others, config.recall_at, items.parts),
        ]
        for more, values in found:
            metrics |= {f"{prefix}/{name}": value for name, value in more.items()}
            metrics |= {
                f"{prefix}/{name}": float(each.mean()) for name, (_, each) in values.items()
            }
            by_query |= {f"{prefix}/{name}": value for name, value in values.items()}
        if not any(more for more, _ in found):
            whose = " of its class" if same_class else ""
            undefined[prefix] = f"no complete item has another product{whose} beside it"
    return PairMetrics(metrics, undefined, by_query)


def measure_pair_scorer(
    model: keras.Model,
    features: Mapping[str, Any],
    items: pd.DataFrame,
    config: EvaluationConfig,
    quick: bool = False,
    query_end: int | None = None,
) -> PairMetrics:
    """`pair_metrics` of a model with match logits.

    Args:
        model, query_end: as for `score_of_model`. With `query_end`, pairs are of products and queries,
            and items without a query are left out.
        features: of n items, by key (keys.py), with masks, labels and products.
        items: n rows with the column text.
        config, quick: as for `pair_metrics`.
    """
    texts: Sequence[str] | np.ndarray = items["text"].tolist()
    parts = IMAGE_AND_TEXT
    complete = (features[keys.IMAGE_MASK] > 0) & (features[keys.TEXT_MASK] > 0)
    if query_end is not None:
        ids = np.asarray(features[keys.TEXT_FEATURES])
        texts, parts = query_numbers(ids, query_end), PRODUCT_AND_QUERY
        complete &= query_lengths(ids, query_end) > 0
    labels = features[keys.LABELS if keys.LABELS in features else keys.LABEL]
    return pair_metrics(
        score_of_model(model, features, query_end),
        PairItems(features[keys.PRODUCT], labels, texts, complete, parts),
        config,
        threshold=0.0,
        quick=quick,
    )


def _one_per_product(items: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The first item of each product, in the order given."""
    first = np.unique(products[items], return_index=True)[1]
    return items[np.sort(first)]


@dataclasses.dataclass(frozen=True, eq=False)
class _Draw:
    """Draws items of other products; `items` holds one item per product."""

    items: np.ndarray
    labels: np.ndarray
    text_ids: np.ndarray
    same_class: bool
    generator: np.random.Generator

    def others(self, item: int, count: int) -> np.ndarray:
        """[at most count] items, without replacement."""
        allowed = self.text_ids[self.items] != self.text_ids[item]
        if self.same_class and self.labels.ndim == 1:
            allowed &= self.labels[self.items] == self.labels[item]
        elif self.same_class:
            allowed &= self.labels[self.items] @ self.labels[item] > 0
        pool = self.items[allowed]
        return self.generator.choice(pool, min(count, len(pool)), replace=False)


def _two_way_values(
    score: PairScore,
    items: np.ndarray,
    mismatched: Sequence[np.ndarray],
    threshold: float | None,
) -> _MetricsAndValues:
    """AUC and accuracy of the items that have a mismatch: each with its own text and with another text."""
    having = [(item, other[0]) for item, other in zip(items, mismatched, strict=True) if len(other)]
    if not having:
        return {}, {}
    own, other = np.array(having).T
    scores = score(np.concatenate([own, own]), np.concatenate([own, other]))
    metrics = {"products": float(len(own))}
    values = {"auc": (own, auc_values(*np.split(scores, 2)))}
    if threshold is not None:
        right = (scores > threshold) == np.repeat([True, False], len(own))
        values["accuracy"] = own, right.reshape(2, -1).mean(axis=0)
    return metrics, values


def _rank_values(
    score: PairScore,
    queries: np.ndarray,
    others: Sequence[np.ndarray],
    cut_offs: Sequence[int],
    parts: tuple[str, str],
) -> _MetricsAndValues:
    """Rank@k in both directions, of the queries that have a candidate beside the true one."""
    having = [
        (query, np.append(query, row))
        for query, row in zip(queries, others, strict=True)
        if len(row)
    ]
    if not having:
        return {}, {}
    sizes = np.array([len(row) for _, row in having])
    asked = np.array([query for query, _ in having])
    query = np.repeat(asked, sizes)
    candidate = np.concatenate([row for _, row in having])
    metrics = {"queries": float(len(having)), "candidates": float(sizes.mean())}
    metrics |= {f"chance_rank_at_{k}": float(np.minimum(1, k / sizes).mean()) for k in cut_offs}
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    first, second = parts
    for task, (image, text) in {
        f"{first}_to_{second}": (query, candidate),
        f"{second}_to_{first}": (candidate, query),
    }.items():
        ranks = _true_ranks(_scores_once(score, image, text), sizes)
        values |= {f"{task}/rank_at_{k}": (asked, (ranks <= k).astype(float)) for k in cut_offs}
    return metrics, values


def _scores_once(score: PairScore, images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """The scores of pairs; equal pairs are scored once."""
    pairs, places = np.unique(np.stack([images, texts]), axis=1, return_inverse=True)
    return score(*pairs)[places.reshape(-1)]


def _true_ranks(scores: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[queries] rank from 1 of each query's first candidate, the true one.

    Args:
        scores: of all queries' candidates, concatenated.
        sizes: [queries] number of candidates of each query.
    """
    steps = np.rint(scores.astype(np.float64) * _STEPS)
    starts = np.cumsum(sizes) - sizes
    not_below = steps >= np.repeat(steps[starts], sizes)
    return np.add.reduceat(not_below.astype(int), starts)
