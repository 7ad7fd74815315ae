"""From a measured split to the plain data of the report."""

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
from huse_tf.data.splits.assign import shared_kinds
from huse_tf.evaluation.embedding_map import EmbeddingMap, embedding_map
from huse_tf.evaluation.predictions import FUSED, Predictions, galleries, true_classes
from huse_tf.evaluation.report import Card, Example, Report
from huse_tf.evaluation.retrieval import Gallery
from huse_tf.evaluation.serving_choices import ServingChoices, reliabilities
from huse_tf.evaluation.serving_section import ServingReport
from huse_tf.jobs.measure import MeasuredSplit
from huse_tf.jobs.refit import joined_items, refit_sentence
from huse_tf.jobs.run_data import Dataset
from huse_tf.training.monitor import monitored, present

_RESULTS = 6  # shown per query
# How the items were split, by --split_by.
_SPLITS = {
    "group": (
        "Items were split by groups that share no {kinds}, stratified by class: "
        "{validation:.0%} for validation, {test:.0%} for test, seed {seed}."
    ),
    "time": (
        "Items were split by the times in the column {column}, in groups that share no {kinds}: "
        "the newest {test:.0%} for test, the {validation:.0%} before them for validation."
    ),
    "column": "The column {column} of the catalogue says which split an item belongs to.",
}


_FOLD = (
    "Items were dealt into {folds} folds by groups that share no product, no title and no image, stratified "
    "by class, seed {seed}: fold {fold} for test, and of the others {validation:.0%} of all items for validation."
)


def make_report(
    config: Config,
    dataset: Dataset,
    measured: MeasuredSplit,
    history: Sequence[Mapping[str, float]],
    versions: Mapping[str, str],
    choices: ServingChoices | None = None,
) -> Report:
    """The report of one split.

    Args:
        config: of the run.
        dataset: of the run.
        measured: the split.
        history: a row per validation while training.
        versions: package -> version.
        choices: what validation items chose for the served model, if anything.
    """
    best = max(history, key=lambda row: monitored(row, config.training.monitor))
    catalogue = pathlib.Path(config.data.catalogue)
    return Report(
        title=f"{config.method.name} on {config.data.name}, {measured.split} items",
        subtitle=f"{catalogue.name}, {datetime.datetime.now():%Y-%m-%d %H:%M}",
        metrics=measured.metrics,
        undefined=measured.undefined,
        class_names=dataset.taxonomy.names,
        top_levels=dataset.taxonomy.level(1),
        class_distances=dataset.spec.class_distances,
        counts=_counts(dataset),
        rejected=reason_counts(dataset.rejections),
        protocol=_protocol(config, dataset, measured.split, present(config.training.monitor, best)),
        history=history,
        best_epoch=int(best["epoch"]),
        settings=json.loads(config.to_json()),
        versions=versions,
        serving=_serving(config, measured, choices),
        **_predicted(measured, config.training.seed),
    )


def _serving(
    config: Config, measured: MeasuredSplit, choices: ServingChoices | None
) -> ServingReport | None:
    if choices is None or measured.predictions is None:
        return None
    context = measured.context
    return ServingReport(
        config.export.target_precision,
        reliabilities(choices, measured.predictions, context.items, context.fusion_weight),
        choices.product,
    )


def _predicted(measured: MeasuredSplit, seed: int) -> dict[str, Any]:
    """The report's fields on embeddings and classes, which are empty for a pair scorer."""
    items, predictions = measured.context.items, measured.predictions
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
            keys.IMAGE: predictions.image.probabilities,
            keys.TEXT: predictions.text.probabilities,
            FUSED: predictions.fused(measured.context.fusion_weight),
        },
        "examples": _examples(items, predictions, measured.context.config.report_queries, seed),
        "embedding_map": _embedding_map(predictions, seed),
        "contributions": _contributions_by_modality(predictions),
    }


def _contributions_by_modality(predictions: Predictions) -> dict[str, np.ndarray]:
    if predictions.contributions is None or not predictions.complete.any():
        return {}
    columns = predictions.contributions[predictions.complete].T
    return dict(zip(predictions.modalities, columns, strict=True))


def _embedding_map(predictions: Predictions, seed: int) -> EmbeddingMap | None:
    """Of the complete items, if there are at least three."""
    complete = np.flatnonzero(predictions.complete)
    if len(complete) < 3:
        return None
    layout = embedding_map(
        predictions.image.embedding[complete], predictions.text.embedding[complete], seed
    )
    return dataclasses.replace(layout, rows=complete[layout.rows])


def _counts(dataset: Dataset) -> dict[str, int]:
    return {
        "Rows in the catalogue": dataset.rows,
        "Rejected entries": len(dataset.rejections),
        "Products": dataset.products,
        "Classes": len(dataset.taxonomy.classes),
        **{f"Items, {split}": count for split, count in dataset.split_sizes.items()},
    }


def _protocol(config: Config, dataset: Dataset, split: str, monitor: Sequence[str]) -> list[str]:
    """Sentences on how the items were split and how the model was chosen."""
    sentences = []
    if config.export.refit == "all" and dataset.known is None:
        sentences.append(refit_sentence(joined_items(dataset)))
    if dataset.known is not None:
        sentences.append(known_sentence(dataset))
    else:
        data = config.data
        how = (_FOLD if data.fold else _SPLITS[data.split_by]).format(
            fold=data.fold,
            folds=data.folds,
            validation=data.validation_fraction,
            test=data.test_fraction,
            seed=data.split_seed,
            column=data.split_column,
            kinds=shared_kinds(data),
        )
        sentences.append(f"{how} These are the metrics of the {split} split.")
    chosen = "the epoch whose model is measured"
    if config.method.embeds:
        chosen = f"the weight of image against text in the fused prediction, and {chosen}"
    sentences.append(f"Chosen on the validation split: {chosen}, by {' + '.join(monitor)}.")
    if dataset.train_only:
        names = ", ".join(dataset.taxonomy.names[label] for label in dataset.train_only)
        sentences.append(
            f"These classes have too few separate products to hold any items out: {names}."
        )
    return sentences


def known_sentence(dataset: Dataset) -> str:
    """How many items of another catalogue were measured, and how many the run was trained or tuned on."""
    counts = known_counts(dataset)
    items, known = counts["measured"] + counts["left_out"], counts["known"]
    reasons = ", ".join(f"{count} by {reason}" for reason, count in counts["by"].items())
    if not known:
        return (
            f"All {items} items of this catalogue were measured. None shares an id, a title or an image "
            "with the items that the run was trained or tuned on."
        )
    if counts["left_out"]:
        return (
            f"{counts['measured']} of {items} items of this catalogue were measured. Left out: {known} that "
            f"the run was trained or tuned on ({reasons})."
        )
    return (
        f"All {items} items of this catalogue were measured, among them {known} that the run was trained or "
        f"tuned on ({reasons}), so metrics on new items may be lower."
    )


def known_counts(dataset: Dataset) -> dict[str, Any]:
    """Of another catalogue: numbers of measured, left out and known items, and of these by reason."""
    measured = dataset.split_sizes.get(keys.TEST, 0)
    return {
        "measured": measured,
        "left_out": len(dataset.table) - measured,
        "known": sum(dataset.known.values()) if dataset.known else 0,
        "by": dict(dataset.known or {}),
    }


def _examples(
    items: pd.DataFrame, predictions: Predictions, count: int, seed: int
) -> dict[str, list[Example]]:
    """Per task at most `count` queries, drawn by seed, with the first results among other products."""
    by_modality = dict(zip((keys.IMAGE, keys.TEXT), galleries(predictions, items), strict=True))
    generator = np.random.default_rng(seed)
    examples = {}
    for source, queries in by_modality.items():
        size = min(count, len(queries))
        chosen = np.sort(generator.choice(len(queries), size, replace=False))
        for target, candidates in by_modality.items():
            examples[f"{source}_to_{target}"] = [
                _retrieval_example(items, (source, target), queries, int(row), candidates)
                for row in chosen
            ]
    return examples


def _retrieval_example(
    items: pd.DataFrame, task: tuple[str, str], queries: Gallery, row: int, candidates: Gallery
) -> Example:
    source, target = task
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
    # Precomputed features of an image may come without the image.
    path = item["image_path"] if modality == keys.IMAGE else ""
    image = pathlib.Path(path) if path else None
    return Card(labels=tuple(map(int, item["labels"])), text=item["text"], image=image)
