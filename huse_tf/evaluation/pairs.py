"""Matching pair by pair, as FashionBERT measures it (Gao et al. 2020, section 4): image and text, or
product and query, where a product is its image with what its text says beside the query.

Accuracy: a true and a mismatched pair of each product are told apart. Rank@k: an image finds its text
among 101, its own and those of 100 other products, and a text its image; drawn by seed, either
from all other products or from those of the same class; products and queries alike. Models with
embeddings score a pair by its cosine, so that they can be compared with models that have none.

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

# The two sides of a pair, as paths name them.
IMAGE_AND_TEXT = ("image", "text")
PRODUCT_AND_QUERY = ("product", "query")

# Scores [n] of pairs, from the rows of their images (or products) [n] and of their texts (or queries)
# [n]; higher is likelier.
PairScore = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Figures of all queries together, and (items, values) of single ones.
_Figures = tuple[dict[str, float], dict[str, tuple[np.ndarray, np.ndarray]]]


@dataclasses.dataclass(frozen=True, eq=False)
class PairFigures:
    """What pairs tell of a model; see `pair_figures`.

    Attributes:
        metrics: by metric path.
        undefined: the beginnings of the paths that these data cannot tell, with the reason.
        queries: of the metrics that are means over queries, (items, values): [n] places of the items
            that were asked, and the figure of each. Of an AUC what each item contributes to it.
    """

    metrics: Mapping[str, float]
    undefined: Mapping[str, str]
    queries: Mapping[str, tuple[np.ndarray, np.ndarray]]


def scores_pairs(model: keras.Model) -> bool:
    """Whether a model scores pairs, and has no embeddings."""
    return keys.MATCH_LOGITS in model.output


def score_of_model(
    model: keras.Model, features: Mapping[str, Any], query_end: int | None = None
) -> PairScore:
    """The match logits of a pair scorer, dropout off, in batches.

    Args:
        model: with match logits.
        features: of items.
        query_end: the id with which queries end, of a model that scores products and queries.
    """
    # Without the heads that guess what is hidden. Traced, for op by op it takes twice as long.
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
    """Cosines of embeddings [n, D] of unit norm."""

    def score(image_rows: np.ndarray, text_rows: np.ndarray) -> np.ndarray:
        cosines = np.zeros(len(image_rows), np.float32)
        for start in range(0, len(image_rows), 4096):
            rows = slice(start, start + 4096)
            cosines[rows] = np.einsum("nd,nd->n", images[image_rows[rows]], texts[text_rows[rows]])
        return cosines

    return score


def pair_figures(
    score: PairScore,
    products: np.ndarray,
    labels: np.ndarray,
    texts: Sequence[str] | np.ndarray,
    complete: np.ndarray,
    config: EvaluationConfig,
    *,
    threshold: float | None = None,
    quick: bool = False,
    sides: tuple[str, str] = IMAGE_AND_TEXT,
) -> PairFigures:
    """Accuracy and Rank@k of n items, by metric path.

    One item of each product stands for it. A candidate is of another product and has another text.

    Args:
        score: of pairs.
        products: [n] ids.
        labels: [n] class ids, or [n, K] multi-hot.
        texts: [n], or numbers that are equal for equal ones; of queries, these.
        complete: [n] bool, the items that have both sides.
        config: the cut-offs, the most queries, and the seed of the draws.
        threshold: above which a score says "match"; None where scores have none, as cosines.
        quick: only accuracy and AUC, of `config.validation_pairs` products at most.
        sides: what is paired.

    Returns:
        metrics: under `pairs/`, and for mismatches of the same class under
        `pairs/same_class/`: `accuracy` (chance: one half) and `auc` over a true and a mismatched pair of
        each product; `image_to_text/rank_at_K` and `text_to_image/rank_at_K`, or as `sides` have it
        `product_to_query/…` and `query_to_product/…`, the share of queries whose true candidate is
        among the first K, and `chance_rank_at_K` of a random order;
        `candidates`, their mean number, below 101 where there are fewer products; `queries`.
        queries: of `accuracy`, `auc` and `rank_at_K`; of one side those of any model are the same.
    """
    generator = np.random.default_rng(config.pair_seed)
    items = _one_of_each(generator.permutation(np.flatnonzero(complete)), products)
    if quick:
        items = items[: config.validation_pairs]
    text_ids = np.unique(np.asarray(texts, dtype=object).astype(str), return_inverse=True)[1]
    metrics: dict[str, float] = {}
    undefined: dict[str, str] = {}
    by_query: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for prefix, same_class in (("pairs", False), ("pairs/same_class", True)):
        queries = items[: 0 if quick else config.pair_queries]
        draw = _Draw(items, labels, text_ids, same_class, generator)
        mismatched = [draw.others(item, 1) for item in items]
        others = [draw.others(item, OTHERS) for item in queries]
        found = [
            _two_way_figures(score, items, mismatched, threshold),
            _rank_figures(score, queries, others, config.recall_at, sides),
        ]
        for figures, values in found:
            metrics |= {f"{prefix}/{name}": value for name, value in figures.items()}
            metrics |= {
                f"{prefix}/{name}": float(each.mean()) for name, (_, each) in values.items()
            }
            by_query |= {f"{prefix}/{name}": value for name, value in values.items()}
        if not any(figures for figures, _ in found):
            whose = " of its class" if same_class else ""
            undefined[prefix] = f"no complete item has another product{whose} beside it"
    return PairFigures(metrics, undefined, by_query)


def measure_pair_scorer(
    model: keras.Model,
    features: Mapping[str, Any],
    items: pd.DataFrame,
    config: EvaluationConfig,
    quick: bool = False,
    query_end: int | None = None,
) -> PairFigures:
    """`pair_figures` of a model with match logits, by features, masks and labels of items (keys.py).

    With `query_end`, as of `score_of_model`, of products and queries; items without a query are left out.
    """
    texts: Sequence[str] | np.ndarray = items["text"].tolist()
    sides = IMAGE_AND_TEXT
    complete = (features[keys.IMAGE_MASK] > 0) & (features[keys.TEXT_MASK] > 0)
    if query_end is not None:
        ids = np.asarray(features[keys.TEXT_FEATURES])
        texts, sides = query_numbers(ids, query_end), PRODUCT_AND_QUERY
        complete &= query_lengths(ids, query_end) > 0
    return pair_figures(
        score_of_model(model, features, query_end),
        features[keys.PRODUCT],
        features[keys.LABELS if keys.LABELS in features else keys.LABEL],
        texts,
        complete,
        config,
        threshold=0.0,
        quick=quick,
        sides=sides,
    )


def _one_of_each(items: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The first item of each product, in the order given."""
    first = np.unique(products[items], return_index=True)[1]
    return items[np.sort(first)]


@dataclasses.dataclass(frozen=True, eq=False)
class _Draw:
    """Draws other products' items for an item; `items` holds one of each product."""

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


def _two_way_figures(
    score: PairScore,
    items: np.ndarray,
    mismatched: Sequence[np.ndarray],
    threshold: float | None,
) -> _Figures:
    """Of the items that have a mismatch: their own text's score, and that of another text."""
    having = [(item, other[0]) for item, other in zip(items, mismatched, strict=True) if len(other)]
    if not having:
        return {}, {}
    own, other = np.array(having).T
    scores = score(np.concatenate([own, own]), np.concatenate([own, other]))
    figures = {"products": float(len(own))}
    values = {"auc": (own, auc_values(*np.split(scores, 2)))}
    if threshold is not None:
        right = (scores > threshold) == np.repeat([True, False], len(own))
        values["accuracy"] = own, right.reshape(2, -1).mean(axis=0)
    return figures, values


def _rank_figures(
    score: PairScore,
    queries: np.ndarray,
    others: Sequence[np.ndarray],
    cut_offs: Sequence[int],
    sides: tuple[str, str],
) -> _Figures:
    """Rank@k both ways, of the queries that have a candidate beside the true one."""
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
    figures = {"queries": float(len(having)), "candidates": float(sizes.mean())}
    figures |= {f"chance_rank_at_{k}": float(np.minimum(1, k / sizes).mean()) for k in cut_offs}
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    image_side, text_side = sides
    for task, (image, text) in {
        f"{image_side}_to_{text_side}": (query, candidate),
        f"{text_side}_to_{image_side}": (candidate, query),
    }.items():
        ranks = _true_ranks(_once_each(score, image, text), sizes)
        values |= {f"{task}/rank_at_{k}": (asked, (ranks <= k).astype(float)) for k in cut_offs}
    return figures, values


def _once_each(score: PairScore, images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """The scores of pairs, equal pairs scored once."""
    pairs, places = np.unique(np.stack([images, texts]), axis=1, return_inverse=True)
    return score(*pairs)[places.reshape(-1)]


def _true_ranks(scores: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[queries] rank from 1 of each query's first candidate, the true one.

    Args:
        scores: of the candidates of all queries, in a row.
        sizes: [queries] how many are each query's.
    """
    steps = np.rint(scores.astype(np.float64) * _STEPS)
    starts = np.cumsum(sizes) - sizes
    not_below = steps >= np.repeat(steps[starts], sizes)
    return np.add.reduceat(not_below.astype(int), starts)
