"""The report: one self-contained HTML file with all that was measured, and how.

Everything in it comes from a `Report` of plain data, so it can be written where no model is.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from huse_tf import files
from huse_tf.evaluation import plots
from huse_tf.evaluation.class_graph_page import class_graph_section
from huse_tf.evaluation.confusion import (
    confusion_counts,
    f1_by_class,
    most_confused,
    taken_as,
)
from huse_tf.evaluation.embedding_map import EmbeddingMap
from huse_tf.evaluation.retrieval_tasks import FROZEN, WITH_OWN_PRODUCT
from huse_tf.pages.environment import environment

TASKS = ("image_to_image", "image_to_text", "text_to_image", "text_to_text")
_MAX_HEAT_MAP = 80  # classes; beyond, cells and letters are too small to read
_MAX_PAIRS = 20  # most confused pairs listed
# Panels of the training curves: title, and the history keys shown, by the name they stand for.
_PANELS = (
    ("Training losses", r"loss/(?P<name>.+)"),
    ("Validation accuracy", r"classification/(?P<name>\w+)/accuracy"),
    ("Validation hit@1", r"classification/(?P<name>\w+)/hit_at_1"),
    ("Task weights", r"weight/(?P<name>.+)"),
    ("Validation accuracy and AUC, pairs", r"pairs/(?P<name>(?:same_class/)?(?:accuracy|auc))"),
    ("Contributions", r"contribution/(?P<name>.+)"),
    (
        "Validation mAP, other products of the class",
        r"(?P<name>\w+_to_\w+)/class/mean_average_precision",
    ),
    ("Validation mAP, same product", r"(?P<name>\w+_to_\w+)/item/mean_average_precision"),
)
# The figures shown at the top.
_SUMMARY = (
    ("Accuracy, image and text fused", "classification/fused/accuracy"),
    ("Accuracy, image", "classification/image/accuracy"),
    ("Accuracy, text", "classification/text/accuracy"),
    ("Hit@1, image and text fused", "classification/fused/hit_at_1"),
    ("Hit@1, image", "classification/image/hit_at_1"),
    ("Hit@1, text", "classification/text/hit_at_1"),
    (
        "Image → text, other products of the class, mAP",
        "image_to_text/class/mean_average_precision",
    ),
    (
        "Text → image, other products of the class, mAP",
        "text_to_image/class/mean_average_precision",
    ),
    ("Text → image, same product, R@10", "text_to_image/item/recall_at_10"),
    ("Pairs told from mismatched ones", "pairs/accuracy"),
    ("Image → text, rank@1 of 101", "pairs/image_to_text/rank_at_1"),
    ("Text → image, rank@1 of 101", "pairs/text_to_image/rank_at_1"),
    ("Query → product, rank@1 of 101", "pairs/query_to_product/rank_at_1"),
    ("Product → query, rank@1 of 101", "pairs/product_to_query/rank_at_1"),
)
# Figures of a classification, those of one and those of several classes an item.
_CLASSIFICATION = {
    "accuracy": "Accuracy",
    "hit_at_1": "Hit@1",
    "subset_accuracy": "All classes right",
    "micro_f1": "Micro-F1",
    "macro_f1": "Macro-F1",
    "mean_average_precision": "mAP",
}
# What is classified: by what, and of which items where some lack a modality.
_SOURCES = {
    "image": "image",
    "text": "text",
    "fused": "fused",
    "fused/image_and_text": "fused, items with image and text",
    "fused/image_only": "fused, items with image only",
    "fused/text_only": "fused, items with text only",
}


@dataclasses.dataclass(frozen=True)
class Card:
    """One query or result in the retrieval examples.

    Attributes:
        labels: class ids, at least one.
        text: the item's text; beside a picture it is the alternative text.
        picture: the picture's file, or None where the text itself is the query or result.
        score: cosine to the query; None on a query.
    """

    labels: tuple[int, ...]
    text: str
    picture: pathlib.Path | None = None
    score: float | None = None


@dataclasses.dataclass(frozen=True)
class Example:
    """A query with its first results.

    Attributes:
        query: what was searched with.
        results: of other products, best first.
        own_rank: the rank from 1 of the first candidate of the query's own product, behind others of
            equal score; None where there is none beside the query itself.
    """

    query: Card
    results: Sequence[Card]
    own_rank: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """All that the report tells. n items were evaluated, of K classes.

    Attributes:
        title, subtitle: what was trained on what, and when.
        metrics: by path, as `classification_metrics` and `all_retrieval_metrics` name them.
        undefined: path or prefix of a metric that could not be measured -> reason.
        class_names: [K] names by label; labels follow the order of the taxonomy.
        top_levels: [K] each class's ancestor at the top.
        class_distances: [K, K] the class graph.
        labels: [n] true class ids, or [n, K] multi-hot where items have several classes.
        probabilities: [n, K] under "image", "text" and "fused"; NaN where the item lacks the modality.
            Empty for a model that scores pairs and knows no classes.
        counts: what -> how many (rows, items by split, products ...), in the order shown.
        rejected: reason -> number of rows.
        protocol: sentences on how these data were split and read, beside those of the template.
        history: a row an epoch: "epoch" (from 1), "loss/..." and validation metrics by path.
        best_epoch: the epoch whose model was measured.
        examples: task ("image_to_text") -> examples.
        embedding_map: over the n items, or None to leave it out.
        settings: section -> setting -> value.
        versions: package -> version.
        contributions: modality -> [m] >= 0, how much it contributes to the fused prediction of each
            item that has all; empty where the model does not tell.
    """

    title: str
    subtitle: str
    metrics: Mapping[str, float]
    undefined: Mapping[str, str]
    class_names: Sequence[str]
    top_levels: Sequence[str]
    class_distances: np.ndarray
    labels: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    counts: Mapping[str, int]
    rejected: Mapping[str, int]
    protocol: Sequence[str]
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    examples: Mapping[str, Sequence[Example]]
    embedding_map: EmbeddingMap | None
    settings: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    contributions: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def write_report(path: pathlib.Path, report: Report) -> None:
    """Writes the report as one HTML file without scripts or outside resources."""
    pages = environment(pathlib.Path(__file__).parent)
    pages.filters |= {
        "figure": _figure,
        "task": _task_name,
    }
    pages.globals["verdict"] = lambda query, card: _verdict(report, query, card)
    html = pages.get_template("report.html").render(
        report=report,
        tasks=TASKS,
        relevances=_relevances(report),
        retrieval_rows=_retrieval_rows(report),
        sources=_sources(report),
        patterns=_patterns(report),
        figures={
            figure: name
            for figure, name in _CLASSIFICATION.items()
            if f"classification/fused/{figure}" in report.metrics
        },
        summary=[(name, report.metrics[key]) for name, key in _SUMMARY if key in report.metrics],
        curves=_curves(report),
        contributions=_contributions(report),
        recall_at=_cut_offs(report, r"\w+/\w+/recall_at_(\d+)"),
        rank_at=_cut_offs(report, r"pairs/\w+/rank_at_(\d+)"),
        pair_tasks=_pair_tasks(report),
        precision_at=_cut_offs(report, r"\w+/hierarchical_precision_at_(\d+)"),
        embedding_map=_map(report),
        class_graph=class_graph_section(report.class_distances, report.class_names),
        **(_confusion(report) if report.probabilities else {}),
    )
    files.write_text(path, html)


def _figure(value: float | None) -> str:
    """A metric for a table cell: counts and ranks as they are, shares with three decimals."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3f}"


def _task_name(task: str) -> str:
    """ "image_to_text" -> "Image → text"."""
    return task.replace("_to_", " → ").capitalize()


def _pair_tasks(report: Report) -> tuple[str, str]:
    """What is ranked: products and queries of a model that scores these, else images and texts."""
    tasks = "query_to_product", "product_to_query"
    ranked = any(f"/{task}/" in path for task in tasks for path in report.metrics)
    return tasks if ranked else ("image_to_text", "text_to_image")


def _verdict(report: Report, query: Card, card: Card) -> str:
    if {*card.labels} & {*query.labels}:
        return "right"
    tops, wanted = ({report.top_levels[c] for c in each.labels} for each in (card, query))
    return "near" if tops & wanted else "wrong"


def _patterns(report: Report) -> list[tuple[str, str, str]]:
    """(path, task, name) of retrieval by the queries of each pattern of what items have."""
    names = {
        "image_and_text": "image and text",
        "image_only": "image only",
        "text_only": "text only",
    }
    return [
        (f"{task}/{pattern}", task, name)
        for task in TASKS
        for pattern, name in names.items()
        if f"{task}/{pattern}/class/queries" in report.metrics
    ]


def _retrieval_rows(report: Report) -> list[tuple[str, str]]:
    """(path, name) of each task, and behind it of that of the frozen features, where they were measured."""
    return [
        (path, name)
        for task in TASKS
        for path, name in (
            (task, _task_name(task)),
            (f"{FROZEN}/{task}", f"{_task_name(task)}, frozen features"),
        )
        if path == task or f"{path}/class/queries" in report.metrics
    ]


def _relevances(report: Report) -> list[tuple[str, str]]:
    """(what stands between task and figure, what is relevant) of each table of retrieval."""
    flatters = "Relevant: a candidate of the query's class, its own product among the candidates"
    found = {
        "class": "Relevant: another product of the query's class",
        f"{WITH_OWN_PRODUCT}/class": flatters,
        "item": "Relevant: a candidate of the query's product",
    }
    return [
        (path, meaning)
        for path, meaning in found.items()
        if path in ("class", "item") or f"{TASKS[0]}/{path}/queries" in report.metrics
    ]


def _sources(report: Report) -> list[tuple[str, str, int]]:
    """(path, name, number of items) of each classification that could be measured."""
    counts = {
        name: int((~np.isnan(rows).any(axis=1)).sum())
        for name, rows in report.probabilities.items()
    }
    for path in _SOURCES:
        counts.setdefault(path, int(report.metrics.get(f"classification/{path}/items", 0)))
    return [(path, name, counts[path]) for path, name in _SOURCES.items() if counts[path]]


def _cut_offs(report: Report, pattern: str) -> list[int]:
    """The k for which there are metrics whose path matches, ascending."""
    return sorted(
        {int(match[1]) for key in report.metrics if (match := re.fullmatch(pattern, key))}
    )


def _curves(report: Report) -> list[tuple[str, Markup]]:
    """(title, figure) of each panel that the history has keys for."""
    keys = dict.fromkeys(key for row in report.history for key in row)
    epochs = [int(row["epoch"]) for row in report.history]
    panels: list[tuple[str, Markup]] = []
    for title, pattern in _PANELS:
        series = {
            match["name"].replace("_to_", " → ").replace("_", " "): [
                row.get(key, math.nan) for row in report.history
            ]
            for key in keys
            if (match := re.fullmatch(pattern, key))
        }
        if series:
            figure = plots.curves(f"curves{len(panels)}", epochs, series, report.best_epoch)
            panels.append((title, figure))
    return panels


def _contributions(report: Report) -> list[Markup]:
    """The mean of each modality, and where items differ its distribution; of two modalities the first's,
    for the other's is its mirror image."""
    if not report.contributions:
        return []
    means = {name: float(values.mean()) for name, values in report.contributions.items()}
    figures = [plots.bars("contributions", means, "contribution")]
    shown = list(report.contributions.items())
    for number, (name, values) in enumerate(shown if len(shown) > 2 else shown[:1]):
        if np.ptp(values) > 1e-3:
            label = f"contribution of the {name}"
            figures.append(plots.histogram(f"shares-{number}", values, label))
    return figures


def _map(report: Report) -> Markup | None:
    layout = report.embedding_map
    if layout is None:
        return None
    first = report.labels if report.labels.ndim == 1 else report.labels.argmax(axis=1)
    groups = [report.top_levels[label] for label in first[layout.rows]]
    return plots.points("map", layout, groups)


def _confusion(report: Report) -> dict[str, Any]:
    """What the template shows of the fused predictions, by class and by top level."""
    size = len(report.class_names)
    predicted = report.probabilities["fused"].argmax(axis=1)
    labels = taken_as(report.labels, predicted)
    counts = confusion_counts(labels, predicted, size)
    tops = list(dict.fromkeys(report.top_levels))
    top_of = np.array([tops.index(top) for top in report.top_levels])
    is_flat = len(tops) in (1, size)
    heat_maps = []
    if size <= _MAX_HEAT_MAP:
        groups = None if is_flat else report.top_levels
        heat_map = plots.heat_map("classes", counts, report.class_names, groups)
        heat_maps.append(("By class", heat_map))
    if not is_flat and len(tops) <= _MAX_HEAT_MAP:
        top_counts = confusion_counts(top_of[labels], top_of[predicted], len(tops))
        heat_maps.append(("By top level", plots.heat_map("tops", top_counts, tops)))
    f1 = f1_by_class(report.labels, report.probabilities)
    support = counts.sum(axis=1) if report.labels.ndim == 1 else report.labels.sum(axis=0)
    return {
        "is_flat": is_flat,
        "heat_maps": heat_maps,
        "pairs": most_confused(counts, _MAX_PAIRS),
        "f1": {name: scores.tolist() for name, scores in f1.items()},
        "support": support.astype(int).tolist(),
    }
