"""Measures a model on one split, whether it has embeddings or scores pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.evaluation.context import EvaluationContext
from huse_tf.evaluation.frozen_features import frozen_retrieval, nearest_neighbours
from huse_tf.evaluation.measure import measure
from huse_tf.evaluation.pairs import measure_pair_scorer, scores_pairs
from huse_tf.evaluation.per_query import QueryMetrics, per_query, with_products
from huse_tf.evaluation.predictions import Predictions, predict
from huse_tf.evaluation.retrieval_tasks import FROZEN
from huse_tf.jobs.rehearsal import Measurable
from huse_tf.jobs.run_data import Dataset
from huse_tf.run_folder import RunFolder


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredSplit:
    """The metrics of one split, with the predictions and the context behind them.

    Attributes:
        split: its name (keys.py).
        context: the items, their classes and the settings.
        features: of these items, by key (keys.py).
        metrics: by metric path.
        undefined: metric path, or beginning of paths, that these items cannot define -> reason.
        predictions: of these items; None for a pair scorer.
        pair_queries: of a pair scorer, metric path -> ([n] row numbers of items, [n] values); else empty.
    """

    split: str
    context: EvaluationContext
    features: Mapping[str, Any]
    metrics: Mapping[str, float]
    undefined: Mapping[str, str]
    predictions: Predictions | None = None
    pair_queries: Mapping[str, tuple[np.ndarray, np.ndarray]] = dataclasses.field(
        default_factory=dict
    )


def measure_split(
    model: keras.Model,
    dataset: Measurable,
    config: Config,
    split: str,
    fusion_weight: float | None = None,
    quick: bool = False,
) -> MeasuredSplit:
    """The metrics of one split: `evaluation.measure.measure`, or of a pair scorer `measure_pair_scorer`.

    Args:
        model: of the run.
        dataset: of the run.
        config: of the run.
        split: name of the split (keys.py).
        fusion_weight: the image's share in fused predictions; None tunes it on this split, which is
            right for the validation split only. See `run_fusion_weight`.
        quick: whether this is a validation while training. A pair scorer is then measured by accuracy and
            AUC only, and models with embeddings without hierarchical precision, which takes as long as all
            other metrics together, unless it is monitored.
    """
    items, features = dataset.split(split)
    evaluation = config.evaluation
    if quick and not any("hierarchical_precision" in name for name in config.training.monitor):
        evaluation = dataclasses.replace(evaluation, precision_at=())
    shares = dataset.spec.class_shares
    context = EvaluationContext(
        items,
        dataset.taxonomy,
        evaluation,
        fusion_weight,
        seen=shares > 0 if split == keys.UNSEEN and shares is not None else None,
        names_unseen=config.method.names_unseen_classes,
    )
    if scores_pairs(model):
        pieces = dataset.spec.text.pieces
        query_end = pieces.end if config.method.scores_queries and pieces is not None else None
        pairs = measure_pair_scorer(model, features, items, evaluation, quick, query_end)
        return MeasuredSplit(
            split, context, features, pairs.metrics, pairs.undefined, pair_queries=pairs.queries
        )
    predictions = predict(model, features, dataset.spec.multi_label, config.fused_modalities)
    metrics, undefined = measure(predictions, context)
    return MeasuredSplit(split, context, features, metrics, undefined, predictions)


def measure_queries(
    measured: MeasuredSplit, dataset: Dataset
) -> tuple[dict[str, float], dict[str, QueryMetrics]]:
    """The metrics of a split and of its frozen features, and the values of single queries.

    The metrics of the frozen features have paths that begin with `frozen_features`: retrieval, and the
    accuracy of the nearest training items, if the split's classes have training items.

    Args:
        measured: from `measure_split`, with a fusion weight unless the model fuses itself.
        dataset: of the run, with the training split.

    Returns:
        (metrics, queries), both by metric path. For a pair scorer without the frozen features.
    """
    metrics, context = dict(measured.metrics), measured.context
    if measured.predictions is None:
        return metrics, with_products(measured.pair_queries, context.items)
    queries = per_query(measured.predictions, context)
    frozen, frozen_queries = frozen_retrieval(measured.features, context)
    if measured.split != keys.UNSEEN:
        neighbours = nearest_neighbours(dataset.features_of(keys.TRAIN), measured.features)
        frozen |= {path: float(hits.mean()) for path, (_, hits) in neighbours.items()}
        frozen_queries |= with_products(neighbours, context.items)
    metrics |= under_frozen(frozen)
    queries |= {f"{FROZEN}/{path}": value for path, value in frozen_queries.items()}
    return metrics, queries


def under_frozen(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of the frozen features, with `frozen_features` at the beginning of their paths."""
    return {f"{FROZEN}/{path}": value for path, value in metrics.items()}


def run_fusion_weight(run: RunFolder) -> float | None:
    """The image's share in fused predictions that a trained run has tuned on its validation split.

    None for a model that fuses image and text itself, and for a pair scorer.

    Raises:
        UserError: the run's `metrics.json` is missing or damaged.
    """
    return run.read_json(run.metrics)[keys.VALIDATION].get("classification/fusion_weight")
