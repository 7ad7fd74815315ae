"""What the frozen encoders' features tell by themselves: what a model that learns from them has to beat.

Features are those that the model is given, scaled to unit norm; nothing is learnt. An image and a text
encoder share no space, so there is no retrieval across modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import KNeighborsClassifier

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.measure import known_correct_sets
from huse_tf.evaluation.per_query import QueryFigures, retrieval_queries
from huse_tf.evaluation.retrieval import Gallery, text_gallery
from huse_tf.evaluation.retrieval_tasks import all_retrieval_metrics
from huse_tf.sections import EvaluationConfig

NEIGHBOURS = 5


def frozen_retrieval(
    features: Mapping[str, Any],
    items: pd.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
) -> tuple[dict[str, float], dict[str, QueryFigures]]:
    """Retrieval within each modality by the cosine of its features.

    Args:
        features: of these items, by key (keys.py); labels and masks are among them.
        items: columns product_id and text.
        taxonomy, config: as for `measure`.

    Returns:
        (metrics, figures of single queries), by paths such as `image_to_image/class/recall_at_1`.
        Modalities whose features are word ids, pixels or patches, which have no cosine, are left out.
    """
    metrics: dict[str, float] = {}
    queries: dict[str, QueryFigures] = {}
    for modality in (keys.IMAGE, keys.TEXT):
        found = _gallery(features, items, modality)
        if found is None:
            continue
        pair = (found, found[:0]) if modality == keys.IMAGE else (found[:0], found)
        metrics |= all_retrieval_metrics(
            *pair,
            known_correct_sets(taxonomy, config),
            config.recall_at,
            config.query_chunk,
            config.with_own_product,
        )[0]
        queries |= retrieval_queries(*pair, items, taxonomy, config)
    return metrics, queries


def nearest_neighbours(
    known: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Whether the five nearest training items, by cosine, vote for an item's class.

    Of image and text together both parts have unit norm, so that neither outweighs the other; a
    missing one is zero.

    Args:
        known, asked: features of the training items, and of the items to classify (`frozen_retrieval`).

    Returns:
        By `classification/image/accuracy` and the like (items asked, [m] 1.0 or 0.0). Nothing where
        items have several classes.
    """
    if keys.LABEL not in asked:
        return {}
    found = {}
    for name, modalities in {
        keys.IMAGE: (keys.IMAGE,),
        keys.TEXT: (keys.TEXT,),
        "fused": (keys.IMAGE, keys.TEXT),
    }.items():
        if not all(
            _is_vector(side[f"{m}_features"]) for m in modalities for side in (known, asked)
        ):
            continue
        there, told = (_present(side, modalities) for side in (known, asked))
        if not len(there) or not len(told):
            continue
        train, test = (
            np.hstack([_unit(np.asarray(side[f"{m}_features"][rows])) for m in modalities])
            for side, rows in ((known, there), (asked, told))
        )
        classifier = KNeighborsClassifier(min(NEIGHBOURS, len(there)))
        classifier.fit(train, np.asarray(known[keys.LABEL])[there])
        right = classifier.predict(test) == np.asarray(asked[keys.LABEL])[told]
        found[f"classification/{name}/accuracy"] = told, right.astype(float)
    return found


def _gallery(features: Mapping[str, Any], items: pd.DataFrame, modality: str) -> Gallery | None:
    """As `measure.galleries` makes it of embeddings; None where features are no vectors."""
    vectors = features[f"{modality}_features"]
    rows = _present(features, (modality,))
    if not _is_vector(vectors) or not len(rows):
        return None
    labels = np.asarray(features[keys.LABELS if keys.LABELS in features else keys.LABEL])
    products = pd.factorize(items["product_id"])[0]
    unit = _with_a_place_for_zeros(_unit(np.asarray(vectors[rows])))
    gallery = Gallery(unit, labels[rows], products[rows], items=rows)
    if modality == keys.IMAGE:
        return gallery
    return text_gallery(gallery, items["text"].iloc[rows].tolist())


def _present(features: Mapping[str, Any], modalities: tuple[str, ...]) -> np.ndarray:
    """Places of the items that have any of these."""
    masks = [np.asarray(features[f"{modality}_mask"]) > 0 for modality in modalities]
    return np.flatnonzero(np.any(masks, axis=0))


def _is_vector(features: Any) -> bool:
    return len(features.shape) == 2 and np.issubdtype(features.dtype, np.floating)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit norm; zeros, as of a text without a known word, stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def _with_a_place_for_zeros(vectors: np.ndarray) -> np.ndarray:
    """[n, dim + 1]: what is all zeros is at right angles to the others, and equal to its like."""
    return np.hstack([vectors, ~vectors.any(axis=1, keepdims=True)]).astype(np.float32)
