"""From a measured dataset to the plain data of the report."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.config import Config
from huse_tf.data.catalogue import reason_counts
from huse_tf.evaluation.embedding_map import EmbeddingMap, embedding_map
from huse_tf.evaluation.measure import Predictions, galleries, true_classes
from huse_tf.evaluation.report import Card, Example, Report
from huse_tf.evaluation.retrieval import Gallery
from huse_tf.jobs.run_data import Dataset
from huse_tf.training.monitor import monitored, present

_RESULTS = 6  # shown per query


def make_report(
    config: Config,
    dataset: Dataset,
    items: pd.DataFrame,
    predictions: Predictions | None,
    metrics: Mapping[str, float],
    undefined: Mapping[str, str],
    history: Sequence[Mapping[str, float]],
    versions: Mapping[str, str],
) -> Report:
    """The report of one side of a dataset.

    Args:
        config: the run's settings.
        dataset: all of the data.
        items: the measured ones.
        predictions: of these items; None of a model that scores pairs.
        metrics, undefined: of these items (`measure`).
        history: a row an epoch of training.
        versions: package -> version.
    """
    side = items["split"].iloc[0]
    settings = json.loads(config.to_json())
    best = max(history, key=lambda row: monitored(row, config.training.monitor))
    catalogue = pathlib.Path(config.data.catalogue)
    return Report(
        title=f"{config.method.name} on {config.data.name}, {side} items",
        subtitle=f"{catalogue.name}, {datetime.datetime.now():%Y-%m-%d %H:%M}",
        metrics=metrics,
        undefined=undefined,
        class_names=dataset.taxonomy.names,
        top_levels=dataset.taxonomy.level(1),
        class_distances=dataset.spec.class_distances,
        counts=_counts(dataset),
        rejected=reason_counts(dataset.rejections),
        protocol=_protocol(config, dataset, side, present(config.training.monitor, best)),
        history=history,
        best_epoch=int(best["epoch"]),
        settings=settings,
        versions=versions,
        **_answers(config, items, predictions, metrics.get("classification/fusion_weight")),
    )


def _answers(
    config: Config, items: pd.DataFrame, predictions: Predictions | None, weight: float | None
) -> dict[str, Any]:
    """What the report shows of embeddings and classes; a model that scores pairs has neither."""
    if predictions is None:
        return {
            "labels": items["label"].to_numpy(),
            "probabilities": {},
            "examples": {},
            "embedding_map": None,
        }
    return {
        "labels": true_classes(predictions, items),
        "probabilities": {
            keys.IMAGE: predictions.image_probabilities,
            keys.TEXT: predictions.text_probabilities,
            "fused": predictions.fused(weight),
        },
        "examples": _examples(config, items, predictions),
        "embedding_map": _map(predictions, config.training.seed),
        "contributions": _contributions(predictions),
    }


def _contributions(predictions: Predictions) -> dict[str, np.ndarray]:
    if predictions.contributions is None or not predictions.complete.any():
        return {}
    columns = predictions.contributions[predictions.complete].T
    return dict(zip(predictions.modalities, columns, strict=True))


def _map(predictions: Predictions, seed: int) -> EmbeddingMap | None:
    """Of the items that have image and text, if they are more than two."""
    complete = np.flatnonzero(predictions.image_mask & predictions.text_mask)
    if len(complete) < 3:
        return None
    layout = embedding_map(
        predictions.image_embedding[complete], predictions.text_embedding[complete], seed
    )
    return dataclasses.replace(layout, rows=complete[layout.rows])


def _counts(dataset: Dataset) -> dict[str, int]:
    return {
        "Rows in the catalogue": dataset.rows,
        "Rejected entries": len(dataset.rejections),
        "Products": dataset.products,
        "Classes": len(dataset.taxonomy.classes),
        **{f"Items, {side}": count for side, count in dataset.split_sizes.items()},
    }


def _protocol(config: Config, dataset: Dataset, side: str, monitor: Sequence[str]) -> list[str]:
    data = config.data
    sentences = []
    if dataset.known is not None:
        sentences.append(told_known(dataset))
    else:
        sentences.append(
            "Items were split by groups that share no product, no title and no picture, stratified "
            f"by class: {data.validation_fraction:.0%} for validation, {data.test_fraction:.0%} for "
            f"test, seed {data.split_seed}. These are the figures of the {side} side."
        )
    chosen = "the epoch whose model is measured"
    if config.method.embeds:
        chosen = f"the weight of image against text in the fused prediction, and {chosen}"
    sentences.append(f"Chosen on the validation side: {chosen}, by {' + '.join(monitor)}.")
    if dataset.train_only:
        names = ", ".join(dataset.taxonomy.names[label] for label in dataset.train_only)
        sentences.append(f"Without held-out items, for want of separate products: {names}.")
    return sentences


def told_known(dataset: Dataset) -> str:
    """How many items of another catalogue were measured, and what the run knows of them."""
    figures = known_figures(dataset)
    items, known = figures["measured"] + figures["left_out"], figures["known"]
    reasons = ", ".join(f"{count} by {reason}" for reason, count in figures["by"].items())
    if not known:
        return (
            f"All {items} items of this catalogue were measured. None shares an id, a title or a picture "
            "with the items that the run was trained or tuned on."
        )
    if figures["left_out"]:
        return (
            f"{figures['measured']} of {items} items of this catalogue were measured. Left out: {known} that "
            f"the run was trained or tuned on ({reasons})."
        )
    return (
        f"All {items} items of this catalogue were measured, among them {known} that the run was trained or "
        f"tuned on ({reasons}). So the figures say less of new items."
    )


def known_figures(dataset: Dataset) -> dict[str, Any]:
    """Of another catalogue: numbers of items that were measured, left out and known, and these by reason."""
    measured = dataset.split_sizes.get(keys.TEST, 0)
    return {
        "measured": measured,
        "left_out": len(dataset.table) - measured,
        "known": sum(dataset.known.values()) if dataset.known else 0,
        "by": dict(dataset.known or {}),
    }


def _examples(
    config: Config, items: pd.DataFrame, predictions: Predictions
) -> dict[str, list[Example]]:
    """Per task, seeded random queries with the first results among other products."""
    sides = dict(zip((keys.IMAGE, keys.TEXT), galleries(predictions, items), strict=True))
    generator = np.random.default_rng(config.training.seed)
    examples = {}
    for source, queries in sides.items():
        count = min(config.evaluation.report_queries, len(queries))
        chosen = np.sort(generator.choice(len(queries), count, replace=False))
        for target, candidates in sides.items():
            examples[f"{source}_to_{target}"] = [
                _example(items, source, queries, int(row), target, candidates) for row in chosen
            ]
    return examples


def _example(
    items: pd.DataFrame, source: str, queries: Gallery, row: int, target: str, candidates: Gallery
) -> Example:
    scores = candidates.embeddings @ queries.embeddings[row]
    own = candidates.products == queries.products[row]
    others = np.flatnonzero(~own)
    first = others[np.argsort(-scores[others], kind="stable")[:_RESULTS]]
    query = _card(items, source, int(queries.items[row]))
    results = [
        dataclasses.replace(
            _card(items, target, int(candidates.items[place])), score=float(scores[place])
        )
        for place in first
    ]
    if source == target:
        own &= candidates.items != queries.items[row]
    rank = 1 + int(np.sum(scores[others] >= scores[own].max())) if own.any() else None
    return Example(query, results, rank)


def _card(items: pd.DataFrame, modality: str, row: int) -> Card:
    item = items.iloc[row]
    picture = pathlib.Path(item["image_path"]) if modality == keys.IMAGE else None
    return Card(labels=tuple(map(int, item["labels"])), text=item["text"], picture=picture)
