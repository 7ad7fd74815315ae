"""The figures of single queries, of which `measure` tells the means; for tests of significance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.config import EvaluationConfig
from huse_tf.data.taxonomy import Taxonomy
from huse_tf.evaluation.classification import hits
from huse_tf.evaluation.measure import Predictions, galleries, true_classes
from huse_tf.evaluation.retrieval import hierarchical_precisions, query_ranks

_PRECISION_AT = 5


@dataclasses.dataclass(frozen=True, eq=False)
class QueryFigures:
    """One metric, query by query.

    Attributes:
        products: [n] str, the product of each query. Pictures of one product are not independent.
        values: [n] float, its figure; the metric is their mean.
    """

    products: np.ndarray
    values: np.ndarray


def per_query(
    predictions: Predictions,
    items: pd.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    fusion_weight: float | None,
) -> dict[str, QueryFigures]:
    """The figures of each query, by the metric path that `measure` gives their mean.

    Accuracy (of several labels: hit@1), and of the four retrieval tasks recall at k, mean average
    precision, and hierarchical precision at 5. What the data cannot tell is left out.

    Args:
        predictions, items, taxonomy, config: as for `measure`.
        fusion_weight: the image's share in the fused prediction; None for a model that fuses itself.
    """
    products = items["product_id"].to_numpy(str)
    figures = _classification(predictions, items, products, fusion_weight)
    image, text = galleries(predictions, items)
    sides = {keys.IMAGE: image, keys.TEXT: text}
    for source, queries in sides.items():
        for target, candidates in sides.items():
            if not len(queries) or not len(candidates):
                continue
            task, asked = f"{source}_to_{target}", products[queries.items]
            arguments = source == target, config.query_chunk
            for relevance in ("class", "item"):
                rows, ranks, precisions = query_ranks(queries, candidates, relevance, *arguments)
                values = {f"recall_at_{k}": (ranks <= k).astype(float) for k in config.recall_at}
                values["mean_average_precision"] = precisions
                for name, each in values.items():
                    if len(each):
                        figures[f"{task}/{relevance}/{name}"] = QueryFigures(asked[rows], each)
            if len(taxonomy.classes) >= _PRECISION_AT:
                correct = taxonomy.correct_sets(_PRECISION_AT)
                if not correct.all():
                    shares = hierarchical_precisions(
                        queries, candidates, correct, _PRECISION_AT, *arguments
                    )
                    path = f"{task}/hierarchical_precision_at_{_PRECISION_AT}"
                    figures[path] = QueryFigures(asked, shares)
    return figures


def _classification(
    predictions: Predictions, items: pd.DataFrame, products: np.ndarray, fusion_weight: float | None
) -> dict[str, QueryFigures]:
    labels = true_classes(predictions, items)
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
        keys.IMAGE: (predictions.image_probabilities, predictions.image_mask),
        keys.TEXT: (predictions.text_probabilities, predictions.text_mask),
        "fused": (
            predictions.fused(fusion_weight),
            predictions.image_mask | predictions.text_mask,
        ),
    }
    figure = "hit_at_1" if predictions.multi_label else "accuracy"
    return {
        f"classification/{name}/{figure}": QueryFigures(
            products[rows], hits(probabilities[rows], labels[rows]).astype(float)
        )
        for name, (probabilities, rows) in parts.items()
        if rows.any()
    }
