"""The metrics of `measure` query by query, for tests of significance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from huse_tf.evaluation.class_ranking import ranking_values, top_hits
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.measure import embedding_pair_metrics
from huse_tf.evaluation.predictions import Predictions, galleries, true_classes
from huse_tf.evaluation.retrieval import Gallery, hierarchical_precisions, query_ranks
from huse_tf.evaluation.retrieval_tasks import hierarchical_rules, rules, tasks
from huse_tf.evaluation.zero_shot import zero_shot_values

_PRECISION_AT = 5


@dataclasses.dataclass(frozen=True, eq=False)
class QueryMetrics:
    """One metric, query by query.

    Attributes:
        products: [n] str, the product of each query. Images of one product are not independent.
        values: [n] float, the value of each query; the metric is their mean.
    """

    products: np.ndarray
    values: np.ndarray


def per_query(predictions: Predictions, context: EvaluationContext) -> dict[str, QueryMetrics]:
    """The values of single queries, by the metric path under which `measure` gives their mean.

    Of classes: accuracy, hit@k and hierarchical precision at k, and the zero-shot metrics. Of the four
    retrieval tasks: recall at k, mean average precision and hierarchical precision at 5. Of pairs: AUC
    and Rank@k. Metrics that the items cannot define are left out.

    Args:
        predictions: of the context's items.
        context: as for `measure`, with a fusion weight unless the model fuses itself.

    Raises:
        ValueError: the fusion weight is missing.
    """
    by_item = dict(_classification_values(predictions, context))
    by_item |= embedding_pair_metrics(predictions, context).queries
    image, text = galleries(predictions, context.items)
    return with_products(by_item, context.items) | retrieval_queries(image, text, context)


def with_products(
    by_item: Mapping[str, tuple[np.ndarray, np.ndarray]], items: pd.DataFrame
) -> dict[str, QueryMetrics]:
    """Adds each query's product.

    Args:
        by_item: metric path -> ([n] row numbers of `items`, [n] values).
        items: with the column product_id.
    """
    products = items["product_id"].to_numpy(str)
    return {path: QueryMetrics(products[rows], values) for path, (rows, values) in by_item.items()}


def retrieval_queries(
    image: Gallery, text: Gallery, context: EvaluationContext
) -> dict[str, QueryMetrics]:
    """The values of single queries of the retrieval tasks (`all_retrieval_metrics`), by metric path.

    Args:
        image, text: galleries whose `items` are row numbers of the context's items.
        context: as for `measure`.
    """
    config, taxonomy = context.config, context.taxonomy
    products = context.items["product_id"].to_numpy(str)
    metrics: dict[str, QueryMetrics] = {}
    for task, queries, candidates, same in tasks(image, text):
        if not len(queries) or not len(candidates):
            continue
        asked = products[queries.items]
        for rule in rules(same, config.with_own_product):
            rows, ranks, precisions = query_ranks(
                queries, candidates, rule.relevance, rule.excluded, config.query_chunk
            )
            values = {f"recall_at_{k}": (ranks <= k).astype(float) for k in config.recall_at}
            values["mean_average_precision"] = precisions
            for name, each in values.items():
                if len(each):
                    metrics[f"{task}/{rule.path}/{name}"] = QueryMetrics(asked[rows], each)
        if len(taxonomy.classes) >= _PRECISION_AT:
            correct = taxonomy.correct_sets(_PRECISION_AT)
            for path, excluded in hierarchical_rules(same, config.with_own_product).items():
                if not correct.all():
                    shares = hierarchical_precisions(
                        queries, candidates, correct, _PRECISION_AT, excluded, config.query_chunk
                    )
                    name = f"{task}/{path}hierarchical_precision_at_{_PRECISION_AT}"
                    metrics[name] = QueryMetrics(asked, shares)
    return metrics


def _classification_values(
    predictions: Predictions, context: EvaluationContext
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Metric path -> (row numbers of the classified items, their values)."""
    labels = true_classes(predictions, context.items)
    correct_sets = context.correct_sets
    sources = predictions.by_source(context.fusion_weight)
    for source, (probabilities, mask) in sources.items():
        rows = np.flatnonzero(mask)
        if not len(rows):
            continue
        values = ranking_values(probabilities[rows], labels[rows], correct_sets)
        if not predictions.multi_label:
            values.pop("hit_at_1", None)  # equals the accuracy
            values["accuracy"] = top_hits(probabilities[rows], labels[rows]).astype(float)
        for name, each in values.items():
            yield f"classification/{source}/{name}", (rows, each)
    if context.seen is not None:
        scores = {source: probabilities for source, (probabilities, _) in sources.items()}
        yield from zero_shot_values(
            scores, labels, context.seen, correct_sets, context.names_unseen
        ).items()
