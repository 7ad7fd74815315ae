"""The report: one self-contained HTML file with all metrics of one split, and how they were measured.

Its content is a `Report` of plain data, so writing it needs neither a model nor TensorFlow.
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
    one_true_class,
)
from huse_tf.evaluation.embedding_map import EmbeddingMap
from huse_tf.evaluation.retrieval_tasks import FROZEN, WITH_OWN_PRODUCT, own_product_tasks
from huse_tf.evaluation.serving_section import ServingReport, serving_section
from huse_tf.evaluation.smaller_vectors import SMALLER, smaller_vectors_table
from huse_tf.pages.environment import environment

TASKS = ("image_to_image", "image_to_text", "text_to_image", "text_to_text")
_MAX_HEAT_MAP = 80  # classes; beyond, cells and letters are too small to read
_MAX_PAIRS = 20  # most confused pairs listed
# Panels of the training curves: title, and a pattern of the history's keys with the name in the legend.
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
# Title -> metric, of the metrics at the top of the page.
_SUMMARY = (
    ("Own pair from a mismatched one of the class, AUC (chance .5)", "pairs/same_class/auc"),
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
    ("Pairs, true and mismatched told apart, accuracy", "pairs/accuracy"),
)
# Of models that are not measured among all candidates, because scoring pairs takes long.
_RANKS = (
    ("Image → text, rank@1", "pairs/image_to_text/rank_at_1"),
    ("Text → image, rank@1", "pairs/text_to_image/rank_at_1"),
    ("Query → product, rank@1", "pairs/query_to_product/rank_at_1"),
    ("Product → query, rank@1", "pairs/product_to_query/rank_at_1"),
)
# Metrics of a classification; some are for items of one class, some for items of several.
_CLASSIFICATION = {
    "accuracy": "Accuracy",
    "hit_at_1": "Hit@1",
    "subset_accuracy": "All classes right",
    "micro_f1": "Micro-F1",
    "macro_f1": "Macro-F1",
    "mean_average_precision": "mAP",
}
# Source of a class prediction, and its items if some lack a modality.
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
    """One query or one result of the retrieval examples.

    Attributes:
        labels: class ids, at least one.
        text: the item's text, also the alternative text of its image.
        image: the image file, or None if the text is the query or result.
        score: cosine to the query in [-1, 1]; None for a query.
    """

    labels: tuple[int, ...]
    text: str
    image: pathlib.Path | None = None
    score: float | None = None


@dataclasses.dataclass(frozen=True)
class Example:
    """A query with its first results.

    Attributes:
        query: the image or text of one item.
        results: of other products, best first.
        own_rank: the rank from 1 of the first candidate of the query's own product, after others of
            equal score; None if its product has no candidate but the query itself.
    """

    query: Card
    results: Sequence[Card]
    own_rank: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """The content of the report, of n measured items and K classes.

    Attributes:
        title, subtitle: the method, the data, and the time.
        metrics: by metric path (`measure`).
        undefined: metric path, or beginning of paths, that these items cannot define -> reason.
        class_names: [K] names by label; labels follow the order of the taxonomy.
        top_levels: [K] each class's ancestor at the top level.
        class_distances: [K, K] the class graph.
        labels: [n] true class ids, or [n, K] multi-hot where items have several classes.
        probabilities: [n, K] under "image", "text" and "fused"; NaN where the item lacks the modality.
            Empty for a model that scores pairs and knows no classes.
        counts: name -> number (of rows, items by split, products ...), in the order shown.
        rejected: reason -> number of rows.
        protocol: sentences on how the items were split and how the model was chosen.
        history: a row per validation: "epoch" (from 1), "loss/..." and validation metrics by path. With
            `--validate_every` above 1 there are more epochs than rows.
        best_epoch: the epoch whose model was measured.
        examples: task ("image_to_text") -> examples.
        embedding_map: over the n items, or None to leave it out.
        settings: section -> setting -> value.
        versions: package -> version.
        contributions: modality -> [m] >= 0, how much it contributes to the fused prediction of each
            complete item; empty for models without contributions.
        folds: of a cross-validation, metric path -> {"mean", "low", "high", "folds": a value a fold}.
        serving: calibrated scores and product vectors; None for a pair scorer and where nothing was chosen.
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
    folds: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    serving: ServingReport | None = None


def write_report(path: pathlib.Path, report: Report) -> None:
    """Writes the report as one HTML file, without scripts and without external resources."""
    pages = environment(pathlib.Path(__file__).parent)
    pages.filters |= {
        "metric": _metric,
        "task": _task_name,
        "difference": _difference,
    }
    pages.globals["verdict"] = lambda query, card: _verdict(report, query, card)
    tasks_of_smaller, smaller = smaller_vectors_table(report.metrics)
    html = pages.get_template("report.html").render(
        report=report,
        tasks=TASKS,
        relevances=_relevances(report),
        retrieval_rows=_retrieval_rows(report),
        sources=_sources(report),
        patterns=_patterns(report),
        class_metrics={
            metric: name
            for metric, name in _CLASSIFICATION.items()
            if f"classification/fused/{metric}" in report.metrics
        },
        zero_shot=_zero_shot_metrics(report),
        zero_shot_sources=_zero_shot_sources(report),
        own_product=own_product_tasks(report.metrics),
        summary=_summary(report.metrics),
        epochs=int(report.history[-1]["epoch"]) if report.history else 0,
        curves=_curves(report),
        contributions=_contribution_figures(report),
        recall_at=_cut_offs(report, r"\w+/\w+/recall_at_(\d+)"),
        rank_at=_cut_offs(report, r"pairs/\w+/rank_at_(\d+)"),
        pair_tasks=_pair_tasks(report),
        precision_at=_cut_offs(report, r"\w+/hierarchical_precision_at_(\d+)"),
        smaller=smaller,
        smaller_tasks=tasks_of_smaller,
        smaller_queries=int(report.metrics.get(f"{SMALLER}/queries", 0)),
        embedding_map=_map_figure(report),
        serving=None if report.serving is None else serving_section(report.serving, report.metrics),
        class_graph=class_graph_section(report.class_distances, report.class_names),
        **(_confusion(report) if report.probabilities else {}),
    )
    files.write_text(path, html)


def _summary(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """(name, metric) at the top of the page. Ranks of few candidates only where nothing is ranked among all."""
    found = list(_SUMMARY)
    if not own_product_tasks(metrics):
        count = f"{metrics.get('pairs/candidates', 0):.0f}"
        found += [(f"{name} of {count} candidates only", key) for name, key in _RANKS]
    return [(name, metrics[key]) for name, key in found if key in metrics]


def _metric(value: float | None) -> str:
    """A metric for a table cell, with three decimals; a dash if it is missing."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3f}"


def _difference(value: float) -> str:
    """A difference of two metrics, with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def _task_name(task: str) -> str:
    """The title of a task: "image_to_text" becomes "Image → text"."""
    return task.replace("_to_", " → ").capitalize()


def _pair_tasks(report: Report) -> tuple[str, str]:
    """The tasks of the pairs: of products and queries if the model scores these, else of image and text."""
    tasks = "query_to_product", "product_to_query"
    ranked = any(f"/{task}/" in path for task in tasks for path in report.metrics)
    return tasks if ranked else ("image_to_text", "text_to_image")


def _verdict(report: Report, query: Card, card: Card) -> str:
    """How a result is marked: "right" shares a class, "near" a top level, "wrong" neither."""
    if {*card.labels} & {*query.labels}:
        return "right"
    tops, wanted = ({report.top_levels[c] for c in each.labels} for each in (card, query))
    return "near" if tops & wanted else "wrong"


def _patterns(report: Report) -> list[tuple[str, str, str]]:
    """(path, task, name) of the retrieval metrics by availability pattern of the query's item."""
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
    """(path, name) of each task, each followed by that of the frozen features, if they were measured."""
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
    """(path between task and metric, title) of each table of retrieval metrics."""
    with_own = "Relevant: a candidate of the query's class, its own product among the candidates"
    found = {
        "class": "Relevant: another product of the query's class",
        f"{WITH_OWN_PRODUCT}/class": with_own,
        "item": "Relevant: a candidate of the query's product",
    }
    return [
        (path, meaning)
        for path, meaning in found.items()
        if path in ("class", "item") or f"{TASKS[0]}/{path}/queries" in report.metrics
    ]


def _sources(report: Report) -> list[tuple[str, str, int]]:
    """(path, name, number of items) of each classification that was measured."""
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


def _zero_shot_sources(report: Report) -> list[tuple[str, str, str]]:
    """(candidate classes, source, path) of each classification of items of unseen classes."""
    found = []
    for protocol, candidates in (("unseen_only", "{} unseen classes"), ("all", "all {} classes")):
        path = f"zero_shot/{protocol}"
        if f"{path}/candidates" not in report.metrics:
            continue
        count = int(report.metrics[f"{path}/candidates"])
        found += [
            (candidates.format(count), source, f"{path}/{source}")
            for source in ("image", "text", "fused")
            if any(each.startswith(f"{path}/{source}/") for each in report.metrics)
        ]
    return found


def _zero_shot_metrics(report: Report) -> dict[str, str]:
    """Metric -> title, of the metrics of items of unseen classes."""
    hits = _cut_offs(report, r"zero_shot/\w+/\w+/hit_at_(\d+)")
    precisions = _cut_offs(report, r"zero_shot/\w+/\w+/hierarchical_precision_at_(\d+)")
    return {f"hit_at_{k}": f"Hit@{k}" for k in hits} | {
        f"hierarchical_precision_at_{k}": f"HP@{k}" for k in precisions
    }


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


def _contribution_figures(report: Report) -> list[Markup]:
    """The mean of each modality, and its distribution if items differ.

    Of two modalities only the first one's distribution, because the second is one minus the first.
    """
    if not report.contributions:
        return []
    means = {name: float(values.mean()) for name, values in report.contributions.items()}
    figures = [plots.bars("contributions", means, "contribution")]
    shown = list(report.contributions.items())
    for number, (name, values) in enumerate(shown if len(shown) > 2 else shown[:1]):
        if np.ptp(values) > 1e-3:
            label = f"contribution of the {name}"
            figures.append(plots.share_histogram(f"shares-{number}", values, label))
    return figures


def _map_figure(report: Report) -> Markup | None:
    layout = report.embedding_map
    if layout is None:
        return None
    first = report.labels if report.labels.ndim == 1 else report.labels.argmax(axis=1)
    groups = [report.top_levels[label] for label in first[layout.rows]]
    return plots.points("map", layout, groups)


def _confusion(report: Report) -> dict[str, Any]:
    """The template's values about the fused predictions, by class and by top level."""
    size = len(report.class_names)
    predicted = report.probabilities["fused"].argmax(axis=1)
    labels = one_true_class(report.labels, predicted)
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
