"""The metrics of one split, by whatever kind of model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.evaluation.frozen_features import frozen_retrieval, nearest_neighbours
from huse_tf.evaluation.measure import measure, predict
from huse_tf.evaluation.pairs import PairFigures, measure_pair_scorer, scores_pairs
from huse_tf.evaluation.per_query import QueryFigures, of_products, per_query
from huse_tf.evaluation.retrieval_tasks import FROZEN
from huse_tf.jobs.rehearsal import Measurable
from huse_tf.jobs.run_data import Dataset


def measure_split(
    model: keras.Model,
    dataset: Measurable,
    config: Config,
    side: str,
    fusion_weight: float | None = None,
    quick: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """The figures of one side of a dataset; see `evaluation.measure.measure`.

    Of a pair scorer those of `evaluation.pairs.measure_pair_scorer`, without the ranks if `quick`.
    """
    if scores_pairs(model):
        pairs = _measure_pairs(model, dataset, config, side, quick)
        return dict(pairs.metrics), dict(pairs.undefined)
    return measure(*predicted(model, dataset, config, side, fusion_weight))


def measure_queries(
    model: keras.Model,
    dataset: Dataset,
    config: Config,
    side: str,
    fusion_weight: float | None,
) -> tuple[dict[str, float], dict[str, QueryFigures]]:
    """The figures of one side as of `measure_split`, and those of its single queries.

    Those of the frozen features are among them, under `frozen_features`: retrieval, and the accuracy of
    the nearest training items where training met the classes.
    """
    if scores_pairs(model):
        pairs = _measure_pairs(model, dataset, config, side)
        return dict(pairs.metrics), of_products(pairs.queries, dataset.split(side)[0])
    answers = predicted(model, dataset, config, side, fusion_weight)
    figures, queries = measure(*answers)[0], per_query(*answers)
    items, features = dataset.split(side)
    frozen, asked = frozen_retrieval(features, items, dataset.taxonomy, config.evaluation)
    if side != keys.UNSEEN:
        neighbours = nearest_neighbours(dataset.features_of(keys.TRAIN), features)
        frozen |= {path: float(hits.mean()) for path, (_, hits) in neighbours.items()}
        asked |= of_products(neighbours, items)
    figures |= {f"{FROZEN}/{path}": value for path, value in frozen.items()}
    queries |= {f"{FROZEN}/{path}": value for path, value in asked.items()}
    return figures, queries


def _measure_pairs(
    model: keras.Model, dataset: Measurable, config: Config, side: str, quick: bool = False
) -> PairFigures:
    """Of a pair scorer; of products and queries, if its texts begin with these."""
    items, features = dataset.split(side)
    pieces = dataset.spec.text.pieces
    query_end = pieces.end if config.method.scores_queries and pieces is not None else None
    return measure_pair_scorer(model, features, items, config.evaluation, quick, query_end)


def predicted(
    model: keras.Model,
    dataset: Measurable,
    config: Config,
    side: str,
    fusion_weight: float | None,
) -> tuple[Any, ...]:
    """The arguments of `measure` and `per_query`: the predictions of one side, and what is true of it."""
    items, features = dataset.split(side)
    predictions = predict(model, features, dataset.spec.multi_label, config.fused_modalities)
    seen, names_unseen = _seen_classes(dataset, side), config.method.names_unseen_classes
    known = items, dataset.taxonomy, config.evaluation, fusion_weight, seen, names_unseen
    return predictions, *known


def _seen_classes(dataset: Measurable, side: str) -> np.ndarray | None:
    """[K] bool, whether training met the class, on the side of those that it did not."""
    shares = dataset.spec.class_shares
    return None if side != keys.UNSEEN or shares is None else shares > 0
