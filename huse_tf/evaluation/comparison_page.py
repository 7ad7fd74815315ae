"""The comparison of methods as a page: tables, plots, and who is ahead of whom by how much."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from huse_tf import files
from huse_tf.evaluation import plots
from huse_tf.evaluation.comparison_table import (
    SAME_CLASS_MAP,
    Outcome,
    Table,
    difference,
    figure_text,
)
from huse_tf.evaluation.significance import Difference
from huse_tf.pages.environment import environment

# Of what the page tells how far each method is behind or ahead of the first.
_COMPARED = {
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
    found: Sequence[Table],
    *,
    command: str,
    note: str,
    settings: Mapping[str, str],
    versions: Mapping[str, str],
) -> None:
    """Writes one self-contained page.

    Args:
        path: of the page.
        outcomes: at least one.
        found: the tables of these outcomes.
        command: what made it.
        note: how the figures came about.
        settings: all settings by method, as text.
        versions: package -> version.
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
            figure_text=figure_text,
        )
    )
    files.write_text(path, html)


def _plot(table: Table) -> Markup | None:
    """Means with their spreads, a panel a column; None for costs."""
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


def _scatter(found: Sequence[Table]) -> Markup | None:
    """Accuracy of both modalities against crossing retrieval, for methods that have both."""
    by_title = {table.title: table for table in found}
    if not {"Accuracy", SAME_CLASS_MAP} <= set(by_title):
        return None
    accuracy, retrieval = by_title["Accuracy"], by_title[SAME_CLASS_MAP]
    fused = [column.title for column in accuracy.columns].index("fused")
    crossing = [i for i, column in enumerate(retrieval.columns) if column.title in ("I→T", "T→I")]
    places = {}
    for method, cells in accuracy.rows.items():
        one, others = cells[fused], [retrieval.rows[method][i] for i in crossing]
        there = [cell.mean for cell in others if cell is not None]
        if one is not None and len(there) == 2:
            places[method] = (one.mean, sum(there) / 2)
    return plots.labelled_points(
        "scatter", places, "accuracy of both", "mAP across modalities, mean of I→T and T→I"
    )


def _differences(
    outcomes: Sequence[Outcome],
) -> tuple[list[str], dict[str, list[Difference | None]]]:
    """(titles, by method how far the first method is ahead of it); what nobody has is left out."""
    there = {
        title: path
        for title, path in _COMPARED.items()
        if any(path in outcome.queries for outcome in outcomes)
    }
    first, *others = dict.fromkeys(outcome.method for outcome in outcomes)
    rows = {
        method: [difference(outcomes, first, method, path) for path in there.values()]
        for method in others
    }
    return list(there), rows
