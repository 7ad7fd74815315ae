"""The comparison of methods as a page: tables, plots, and differences to the first method."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from huse_tf import files
from huse_tf.evaluation import plots
from huse_tf.evaluation.comparison_table import (
    SAME_CLASS_MAP,
    Choice,
    ComparisonTable,
    Outcome,
    cell_text,
    corrected,
    difference,
)
from huse_tf.evaluation.significance import Difference
from huse_tf.pages.environment import environment

# Title -> metric, of the differences to the first method.
_COMPARED = {
    "I→T own product, R@10": "image_to_text/item/recall_at_10",
    "T→I own product, R@10": "text_to_image/item/recall_at_10",
    "own pair of the class, AUC": "pairs/same_class/auc",
    "fused accuracy": "classification/fused/accuracy",
    "fused hit@1": "classification/fused/hit_at_1",
    "I→T mAP": "image_to_text/class/mean_average_precision",
    "T→I mAP": "text_to_image/class/mean_average_precision",
    "I→T HP@5": "image_to_text/hierarchical_precision_at_5",
    "T→I HP@5": "text_to_image/hierarchical_precision_at_5",
}


def write_comparison_page(
    path: pathlib.Path,
    outcomes: Sequence[Outcome],
    found: Sequence[ComparisonTable],
    *,
    command: str,
    note: str,
    settings: Mapping[str, str],
    versions: Mapping[str, str],
    chosen: Sequence[Choice] = (),
) -> None:
    """Writes one self-contained page.

    Args:
        path: of the page.
        outcomes: at least one.
        found: the tables of these outcomes.
        command: the command line, or empty.
        note: how the items were measured.
        settings: method -> all settings, as text.
        versions: package -> version.
        chosen: what tuning has chosen for each method; none without tuning.
    """
    html = (
        environment(pathlib.Path(__file__).parent)
        .get_template("comparison.html")
        .render(
            command=command,
            note=note,
            tables=[(table, _plot(table)) for table in found],
            scatter=_scatter(found),
            first=outcomes[0].method,
            differences=_differences(outcomes),
            runs=len(outcomes),
            settings=settings,
            versions=versions,
            chosen=chosen,
            cell_text=cell_text,
        )
    )
    files.write_text(path, html)


def _plot(table: ComparisonTable) -> Markup | None:
    """Means with their spreads, one panel per column; None for costs."""
    panels = {
        column.title: {
            method: (cell.mean, cell.spread)
            for method, cells in table.rows.items()
            if (cell := cells[place]) is not None
        }
        for place, column in enumerate(table.columns)
        if not column.is_cost
    }
    name = "".join(letter if letter.isalnum() else "-" for letter in table.title)
    return plots.dots(name, panels) if panels else None


def _scatter(found: Sequence[ComparisonTable]) -> Markup | None:
    """Fused accuracy against the mAP of retrieval across modalities, of methods that have both."""
    by_title = {table.title: table for table in found}
    if not {"Accuracy", SAME_CLASS_MAP} <= set(by_title):
        return None
    accuracy, retrieval = by_title["Accuracy"], by_title[SAME_CLASS_MAP]
    fused = [column.title for column in accuracy.columns].index("fused")
    crossing = [i for i, column in enumerate(retrieval.columns) if column.title in ("I→T", "T→I")]
    places = {}
    for method, cells in accuracy.rows.items():
        one, others = cells[fused], [retrieval.rows[method][i] for i in crossing]
        means = [cell.mean for cell in others if cell is not None]
        if one is not None and len(means) == 2:
            places[method] = (one.mean, sum(means) / 2)
    return plots.labelled_points(
        "scatter", places, "fused accuracy", "mAP across modalities, mean of I→T and T→I"
    )


def _differences(
    outcomes: Sequence[Outcome],
) -> tuple[list[str], dict[str, list[tuple[Difference, float] | None]]]:
    """(titles, method -> the first method's values minus its own and their corrected p, by title).

    A family of comparisons is that of all methods with the first in one metric. Metrics that no method has
    are left out.
    """
    present = {
        title: path
        for title, path in _COMPARED.items()
        if any(path in outcome.queries for outcome in outcomes)
    }
    first, *others = dict.fromkeys(outcome.method for outcome in outcomes)
    rows: dict[str, list[tuple[Difference, float] | None]] = {method: [] for method in others}
    for path in present.values():
        found = {method: difference(outcomes, first, method, path) for method in others}
        family = {method: each for method, each in found.items() if each is not None}
        p_values = corrected(family)
        for method, row in rows.items():
            row.append((family[method], p_values[method]) if method in family else None)
    return list(present), rows
