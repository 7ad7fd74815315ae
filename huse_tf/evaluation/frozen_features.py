"""Metrics of the frozen encoders' features: the baseline that a trained model has to beat.

The features are those that the model is given, scaled to unit norm; nothing is learned. An image encoder
and a text encoder share no space, so there is no retrieval across modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import KNeighborsClassifier

from huse_tf import keys
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.per_query import QueryMetrics, retrieval_queries
from huse_tf.evaluation.predictions import FUSED
from huse_tf.evaluation.retrieval import Gallery, text_gallery
from huse_tf.evaluation.retrieval_tasks import all_retrieval_metrics

NEIGHBOURS = 5


def frozen_retrieval(
    features: Mapping[str, Any], context: EvaluationContext
) -> tuple[dict[str, float], dict[str, QueryMetrics]]:
    """Retrieval within each modality by the cosine of its features.

    Args:
        features: of the context's items, by key (keys.py), with labels and masks.
        context: as for `measure`.

    Returns:
        (metrics, metrics of single queries), by paths such as `image_to_image/class/recall_at_1`.
        A modality whose features are word ids, pixels or patches is left out: they have no cosine.
    """
    config = context.config
    metrics: dict[str, float] = {}
    queries: dict[str, QueryMetrics] = {}
    for modality in (keys.IMAGE, keys.TEXT):
        found = _gallery(features, context.items, modality)
        if found is None:
            continue
        image, text = (found, found[:0]) if modality == keys.IMAGE else (found[:0], found)
        metrics |= all_retrieval_metrics(
            image,
            text,
            context.correct_sets,
            config.recall_at,
            config.query_chunk,
            config.with_own_product,
        )[0]
        queries |= retrieval_queries(image, text, context)
    return metrics, queries


def nearest_neighbours(
    known: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Whether the five nearest training items, by cosine, vote for an item's class.

    Image and text together are joined, both scaled to unit norm, so that neither outweighs the other;
    a missing one is zero.

    Args:
        known: features of the training items, by key (keys.py), with labels and masks.
        asked: features of the items to classify.

    Returns:
        `classification/SOURCE/accuracy` -> ([m] row numbers of the classified items, [m] 1.0 or 0.0),
        for SOURCE image, text and fused. Empty where items have several classes.
    """
    if keys.LABEL not in asked:
        return {}
    found = {}
    for source, modalities in {
        keys.IMAGE: (keys.IMAGE,),
        keys.TEXT: (keys.TEXT,),
        FUSED: (keys.IMAGE, keys.TEXT),
    }.items():
        if not all(
            _is_vector(items[keys.features(m)]) for m in modalities for items in (known, asked)
        ):
            continue
        train_rows, test_rows = (_rows_with_any(items, modalities) for items in (known, asked))
        if not len(train_rows) or not len(test_rows):
            continue
        train, test = (
            np.hstack([_unit_rows(np.asarray(items[keys.features(m)][rows])) for m in modalities])
            for items, rows in ((known, train_rows), (asked, test_rows))
        )
        classifier = KNeighborsClassifier(min(NEIGHBOURS, len(train_rows)))
        classifier.fit(train, np.asarray(known[keys.LABEL])[train_rows])
        right = classifier.predict(test) == np.asarray(asked[keys.LABEL])[test_rows]
        found[f"classification/{source}/accuracy"] = test_rows, right.astype(float)
    return found


def _gallery(features: Mapping[str, Any], items: pd.DataFrame, modality: str) -> Gallery | None:
    """Like `predictions.galleries`, of features; None where features are no vectors."""
    vectors = features[keys.features(modality)]
    rows = _rows_with_any(features, (modality,))
    if not _is_vector(vectors) or not len(rows):
        return None
    labels = np.asarray(features[keys.LABELS if keys.LABELS in features else keys.LABEL])
    products = pd.factorize(items["product_id"])[0]
    unit = _with_a_place_for_zeros(_unit_rows(np.asarray(vectors[rows])))
    gallery = Gallery(unit, labels[rows], products[rows], items=rows)
    if modality == keys.IMAGE:
        return gallery
    return text_gallery(gallery, items["text"].iloc[rows].tolist())


def _rows_with_any(features: Mapping[str, Any], modalities: tuple[str, ...]) -> np.ndarray:
    """Row numbers of the items that have at least one of these modalities."""
    masks = [np.asarray(features[keys.mask(modality)]) > 0 for modality in modalities]
    return np.flatnonzero(np.any(masks, axis=0))


def _is_vector(features: Any) -> bool:
    return len(features.shape) == 2 and np.issubdtype(features.dtype, np.floating)


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to unit norm; rows of zeros, such as texts without a known word, stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def _with_a_place_for_zeros(vectors: np.ndarray) -> np.ndarray:
    """[n, dim + 1]: rows of zeros become unit vectors, orthogonal to all others and equal to each other."""
    return np.hstack([vectors, ~vectors.any(axis=1, keepdims=True)]).astype(np.float32)
