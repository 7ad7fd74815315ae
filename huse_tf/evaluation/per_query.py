"""The figures of single queries, of which `measure` tells the means; for tests of significance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.evaluation.class_ranking import ranking_values
from huse_tf.evaluation.classification import hits
from huse_tf.evaluation.measure import (
    Predictions,
    galleries,
    known_correct_sets,
    pairs_of,
    true_classes,
)
from huse_tf.evaluation.retrieval import Gallery, hierarchical_precisions, query_ranks
from huse_tf.evaluation.retrieval_tasks import hierarchical_rules, rules, tasks
from huse_tf.evaluation.zero_shot import zero_shot_values
from huse_tf.sections import EvaluationConfig

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
    seen: np.ndarray | None = None,
    names_unseen: bool = True,
) -> dict[str, QueryFigures]:
    """The figures of each query, by the metric path that `measure` gives their mean.

    Accuracy, hit@k and hierarchical precision at k of the class; of the four retrieval tasks recall at
    k, mean average precision, and hierarchical precision at 5; accuracy, AUC and Rank@k of pairs; with
    `seen` those of unseen classes. What the data cannot tell is left out.

    Args:
        predictions, items, taxonomy, config, seen, names_unseen: as for `measure`.
        fusion_weight: the image's share in the fused prediction; None for a model that fuses itself.
    """
    by_items = dict(
        _classes(predictions, items, taxonomy, config, fusion_weight, seen, names_unseen)
    )
    by_items |= pairs_of(predictions, items, config).queries
    sides = galleries(predictions, items)
    return of_products(by_items, items) | retrieval_queries(*sides, items, taxonomy, config)


def of_products(
    by_items: Mapping[str, tuple[np.ndarray, np.ndarray]], items: pd.DataFrame
) -> dict[str, QueryFigures]:
    """Figures with the products of the items they are of, which are places in the table."""
    products = items["product_id"].to_numpy(str)
    return {path: QueryFigures(products[rows], values) for path, (rows, values) in by_items.items()}


def retrieval_queries(
    image: Gallery,
    text: Gallery,
    items: pd.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
) -> dict[str, QueryFigures]:
    """The figures of single queries of the retrieval tasks (`all_retrieval_metrics`).

    Args:
        image, text: galleries whose `items` are places in the table.
        items: column product_id.
        taxonomy, config: as for `measure`.
    """
    products = items["product_id"].to_numpy(str)
    figures: dict[str, QueryFigures] = {}
    chunk, with_own = config.query_chunk, config.with_own_product
    for task, queries, candidates, same in tasks(image, text):
        if not len(queries) or not len(candidates):
            continue
        asked = products[queries.items]
        for rule in rules(same, with_own):
            rows, ranks, precisions = query_ranks(
                queries, candidates, rule.relevance, rule.excluded, chunk
            )
            values = {f"recall_at_{k}": (ranks <= k).astype(float) for k in config.recall_at}
            values["mean_average_precision"] = precisions
            for name, each in values.items():
                if len(each):
                    figures[f"{task}/{rule.path}/{name}"] = QueryFigures(asked[rows], each)
        if len(taxonomy.classes) >= _PRECISION_AT:
            correct = taxonomy.correct_sets(_PRECISION_AT)
            for path, excluded in hierarchical_rules(same, with_own).items():
                if not correct.all():
                    shares = hierarchical_precisions(
                        queries, candidates, correct, _PRECISION_AT, excluded, chunk
                    )
                    name = f"{task}/{path}hierarchical_precision_at_{_PRECISION_AT}"
                    figures[name] = QueryFigures(asked, shares)
    return figures


def _classes(
    predictions: Predictions,
    items: pd.DataFrame,
    taxonomy: Taxonomy,
    config: EvaluationConfig,
    fusion_weight: float | None,
    seen: np.ndarray | None,
    names_unseen: bool,
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """By path the items that are told, and their figures."""
    labels = true_classes(predictions, items)
    correct_sets = known_correct_sets(taxonomy, config)
    scores = {
        keys.IMAGE: predictions.image_probabilities,
        keys.TEXT: predictions.text_probabilities,
        "fused": predictions.fused(fusion_weight),
    }
    masks = {
        keys.IMAGE: predictions.image_mask,
        keys.TEXT: predictions.text_mask,
        "fused": predictions.image_mask | predictions.text_mask,
    }
    for name, probabilities in scores.items():
        rows = np.flatnonzero(masks[name])
        if not len(rows):
            continue
        values = ranking_values(probabilities[rows], labels[rows], correct_sets)
        if not predictions.multi_label:
            values.pop("hit_at_1", None)  # under its usual name
            values["accuracy"] = hits(probabilities[rows], labels[rows]).astype(float)
        for figure, each in values.items():
            yield f"classification/{name}/{figure}", (rows, each)
    if seen is not None:
        yield from zero_shot_values(scores, labels, seen, correct_sets, names_unseen).items()
