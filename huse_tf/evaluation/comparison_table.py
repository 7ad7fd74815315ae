"""Tables of several methods over several seeds: means, spreads, the best method and its ties.

A table shows first the ten methods with the highest mean over its columns, and the baselines; it folds the
other rows (`ComparisonTable.leading`).
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from huse_tf.evaluation.per_query import QueryMetrics
from huse_tf.evaluation.retrieval_tasks import WITH_OWN_PRODUCT
from huse_tf.evaluation.significance import Difference, holm, paired_bootstrap

LEVEL = 0.05  # of significance
LEADING = 10  # methods of a table that are shown first

SAME_CLASS_MAP = "Other products of the class, mAP"
_TASKS = {
    "I→I": "image_to_image",
    "I→T": "image_to_text",
    "T→I": "text_to_image",
    "T→T": "text_to_text",
}
_CROSSING = {name: _TASKS[name] for name in ("I→T", "T→I")}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: of the column.
        path: of the metric.
        is_cost: whether no value is the best, as of costs, chance and numbers of candidates.
    """

    title: str
    path: str
    is_cost: bool = False


def _task_columns(suffix: str, tasks: Mapping[str, str] = _TASKS) -> list[Column]:
    return [Column(title, f"{task}/{suffix}") for title, task in tasks.items()]


def _own_product_columns(metric: str, chance: str = "") -> list[Column]:
    """Both ways with the number of candidates, and what a random order would have."""
    found = []
    for title, task in _CROSSING.items():
        found.append(Column(title, f"{task}/item/{metric}"))
        if chance:
            found.append(Column(f"{title} by chance", f"{task}/item/{chance}", is_cost=True))
        found.append(Column(f"{title} among", f"{task}/item/candidates", is_cost=True))
    return found


# Title of a table -> its columns. A table without any value is left out.
TABLES: dict[str, list[Column]] = {
    **{
        f"Finds its own product, R@{k}": _own_product_columns(
            f"recall_at_{k}", f"chance_recall_at_{k}"
        )
        for k in (10, 1)
    },
    "Finds its own product, mAP": _own_product_columns("mean_average_precision"),
    "Tells its own pair from a mismatched one of the class, AUC (chance .5)": [
        Column("AUC", "pairs/same_class/auc")
    ],
    "Accuracy": [
        Column(name, f"classification/{name}/accuracy") for name in ("image", "text", "fused")
    ],
    "Hit@1, several classes an item": [
        Column(name, f"classification/{name}/hit_at_1") for name in ("image", "text", "fused")
    ],
    "Hit@5 of the class": [
        Column(name, f"classification/{name}/hit_at_5") for name in ("image", "text", "fused")
    ],
    "Hierarchical precision of the class, HP@5": [
        Column(name, f"classification/{name}/hierarchical_precision_at_5")
        for name in ("image", "text", "fused")
    ],
    SAME_CLASS_MAP: _task_columns("class/mean_average_precision"),
    **{
        f"Other products of the class, R@{k}": _task_columns(f"class/recall_at_{k}")
        for k in (1, 5, 10)
    },
    "Hierarchical precision of other products, HP@5": _task_columns("hierarchical_precision_at_5"),
    "Same class, own product among the candidates, mAP": _task_columns(
        f"{WITH_OWN_PRODUCT}/class/mean_average_precision"
    ),
    **{
        f"Same class, own product among the candidates, R@{k}": _task_columns(
            f"{WITH_OWN_PRODUCT}/class/recall_at_{k}"
        )
        for k in (1, 5, 10)
    },
    "Hierarchical precision, own product among the candidates, HP@5": _task_columns(
        f"{WITH_OWN_PRODUCT}/hierarchical_precision_at_5"
    ),
    "Pairs, true and mismatched told apart": [
        Column("accuracy", "pairs/accuracy"),
        Column("AUC", "pairs/auc"),
        Column("accuracy, same class", "pairs/same_class/accuracy"),
    ],
    **{
        f"Own product of at most 101 candidates, Rank@{k}": [
            Column(title, f"pairs/{task}/rank_at_{k}") for title, task in _CROSSING.items()
        ]
        for k in (1, 5, 10)
    },
    **{
        f"Product and query of at most 101 candidates, Rank@{k}": [
            Column("query→product", f"pairs/query_to_product/rank_at_{k}"),
            Column("product→query", f"pairs/product_to_query/rank_at_{k}"),
        ]
        for k in (1, 5, 10)
    },
    "Unseen classes, other products of the class, mAP": [
        Column(title, f"unseen/{task}/class/mean_average_precision")
        for title, task in _TASKS.items()
    ],
    **{
        f"Unseen classes, {metric} among {title}": [
            Column(name, f"unseen/zero_shot/{candidates}/{name}/{path}")
            for name in ("image", "text")
        ]
        for candidates, title in (("unseen_only", "themselves"), ("all", "all classes"))
        for metric, path in (
            ("hit@1", "hit_at_1"),
            ("hit@5", "hit_at_5"),
            ("HP@5", "hierarchical_precision_at_5"),
        )
    },
    "Cost": [
        Column("parameters", "cost/parameters", is_cost=True),
        Column("training, s", "cost/training_seconds", is_cost=True),
        Column("images/s", "cost/images_per_second", is_cost=True),
        Column("texts/s", "cost/texts_per_second", is_cost=True),
    ],
}


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """One method with one seed.

    Attributes:
        method: its name in tables.
        seed: of the split, the initial weights and the order of training.
        metrics: of the measured items, by metric path, with costs and the metrics of unseen classes.
        queries: the values of single queries, by metric path.
        is_baseline: whether tables always show it, because every method is compared with it.
    """

    method: str
    seed: int
    metrics: Mapping[str, float]
    queries: Mapping[str, QueryMetrics]
    is_baseline: bool = False


@dataclasses.dataclass(frozen=True)
class Cell:
    """One metric of one method.

    Attributes:
        mean, spread: over the seeds; the spread is the sample standard deviation, 0 for one seed.
        seeds: their number.
        best: whether no mean of the column is higher.
        behind: the best method's values minus this one's, on the same queries. None for the best, for
            costs, and where the queries are not stored or differ.
        p: that of `behind`, corrected by `holm` for all comparisons with the best of this column; None
            without `behind`.
    """

    mean: float
    spread: float
    seeds: int
    best: bool
    behind: Difference | None
    p: float | None = None

    @property
    def tied(self) -> bool:
        """Whether the difference to the best is not significant."""
        return self.p is not None and self.p >= LEVEL


@dataclasses.dataclass(frozen=True)
class Choice:
    """What tuning has chosen for a method.

    Attributes:
        method: its name in tables.
        trials: their number; 0 for a method that has nothing to search.
        given, best: the values of the given settings and of the best trial on validation items; None where
            there is no such value.
        flags: the settings of the best trial that differ from the given ones.
    """

    method: str
    trials: int
    given: float | None
    best: float | None
    flags: Sequence[str]


@dataclasses.dataclass(frozen=True)
class ComparisonTable:
    """Rows by method, in the order of the outcomes; None where a method lacks the metric."""

    title: str
    columns: Sequence[Column]
    rows: Mapping[str, Sequence[Cell | None]]
    baselines: Collection[str] = ()

    @property
    def leading(self) -> list[str]:
        """The methods of the rows that are shown first: at most ten methods, and the baselines.

        Of more than ten methods: those with the highest mean over the columns, the highest first. Methods
        that lack a metric of the table come after those that have all. Where no column has a best, rows
        keep the order of the outcomes, as do equal means.
        """
        methods = [method for method in self.rows if method not in self.baselines]
        if len(methods) <= LEADING:
            return list(self.rows)

        def merit(method: str) -> tuple[int, float]:
            cells = zip(self.columns, self.rows[method], strict=True)
            means = [cell.mean for column, cell in cells if not column.is_cost and cell is not None]
            return len(means), float(np.mean(means)) if means else 0.0

        if not all(column.is_cost for column in self.columns):
            methods.sort(key=merit, reverse=True)  # stable, also in reverse
        return methods[:LEADING] + [each for each in self.rows if each in self.baselines]

    @property
    def folded(self) -> list[str]:
        """The methods of the other rows, in the order of the outcomes."""
        leading = set(self.leading)
        return [method for method in self.rows if method not in leading]

    @property
    def caption(self) -> str:
        """The title, and the columns whose differences were not tested for significance."""
        untested = []
        for number, column in enumerate(self.columns):
            cells = [row[number] for row in self.rows.values()]
            rivals = [cell for cell in cells if cell is not None and not cell.best]
            if rivals and not column.is_cost and all(cell.behind is None for cell in rivals):
                untested.append(column.title)
        if not untested:
            return self.title
        where = "" if len(untested) == len(self.columns) else f" in {' and '.join(untested)}"
        return f"{self.title}, differences not tested{where}"


def tables(outcomes: Sequence[Outcome]) -> list[ComparisonTable]:
    """All tables with at least one value.

    Args:
        outcomes: at least one.
    """
    baselines = {outcome.method for outcome in outcomes if outcome.is_baseline}
    found = []
    for title, columns in TABLES.items():
        present = [c for c in columns if any(c.path in outcome.metrics for outcome in outcomes)]
        merits = [c for c in columns if not c.is_cost] or columns
        if any(c in present for c in merits):
            cells = [_cells_by_method(outcomes, column) for column in present]
            rows = {name: [each[name] for each in cells] for name in _methods(outcomes)}
            found.append(ComparisonTable(title, present, rows, baselines))
    return found


def difference(outcomes: Sequence[Outcome], one: str, other: str, path: str) -> Difference | None:
    """The values of method `one` minus those of `other`, on the same queries of all seeds that both have.

    Args:
        outcomes: of both methods.
        one, other: names of methods.
        path: of the metric.

    Returns:
        None where a method has no single queries of this metric, or where their products differ in a
        seed.
    """
    ours = {o.seed: o.queries[path] for o in outcomes if o.method == one and path in o.queries}
    theirs = {o.seed: o.queries[path] for o in outcomes if o.method == other and path in o.queries}
    both = [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
    if not both or not all(np.array_equal(a.products, b.products) for a, b in both):
        return None
    return paired_bootstrap(
        np.concatenate([a.values for a, _ in both]),
        np.concatenate([b.values for _, b in both]),
        np.concatenate([a.products for a, _ in both]),
    )


def _methods(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.method for outcome in outcomes))


def _cells_by_method(outcomes: Sequence[Outcome], column: Column) -> dict[str, Cell | None]:
    values = {
        method: [
            o.metrics[column.path]
            for o in outcomes
            if o.method == method and column.path in o.metrics
        ]
        for method in _methods(outcomes)
    }
    means = {method: float(np.mean(each)) for method, each in values.items() if each}
    best = None if column.is_cost else max(means, key=lambda method: means[method])

    found: dict[str, Difference] = {}
    for method, mean in means.items():
        if best is not None and mean != means[best]:
            behind = difference(outcomes, best, method, column.path)
            found |= {} if behind is None else {method: behind}
    p_values = corrected(found)

    def cell(method: str) -> Cell | None:
        if method not in means:
            return None
        each = values[method]
        spread = float(np.std(each, ddof=1)) if len(each) > 1 else 0.0
        is_best = best is not None and means[method] == means[best]
        behind, p = found.get(method), p_values.get(method)
        return Cell(means[method], spread, len(each), is_best, behind, p)

    return {method: cell(method) for method in values}


def corrected(family: Mapping[str, Difference]) -> dict[str, float]:
    """The p-values of a family of comparisons, corrected for their number (`significance.holm`), by name."""
    p_values = holm([each.p for each in family.values()])
    return dict(zip(family, p_values, strict=True))


def as_markdown(found: Sequence[ComparisonTable]) -> str:
    """All tables; the best mean of a column is bold, ≈ marks means that are not significantly behind it.

    The rows after the first ten (`ComparisonTable.leading`) are folded.
    """
    parts = []
    for table in found:
        parts.append(f"**{table.caption}**\n\n{_markdown_rows(table, table.leading)}")
        if table.folded:
            summary = f"<summary>{len(table.folded)} more</summary>"
            rows = _markdown_rows(table, table.folded)
            parts.append(f'<details markdown="1">{summary}\n\n{rows}\n\n</details>')
    return "\n\n".join(parts) + "\n"


def _markdown_rows(table: ComparisonTable, methods: Sequence[str]) -> str:
    titles = [column.title for column in table.columns]
    lines = ["| method | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    for method in methods:
        cells = zip(table.rows[method], table.columns, strict=True)
        lines.append(f"| {method} | " + " | ".join(_markdown_cell(*each) for each in cells) + " |")
    return "\n".join(lines)


def cell_text(cell: Cell, column: Column) -> str:
    """A mean with its spread, to three decimals; a cost, chance or number of candidates to three digits."""
    if column.is_cost:
        return f"{cell.mean:,.0f}" if cell.mean >= 100 else f"{cell.mean:.3g}"
    return f"{cell.mean:.3f} ± {cell.spread:.3f}" if cell.seeds > 1 else f"{cell.mean:.3f}"


def _markdown_cell(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return "–"
    text = cell_text(cell, column)
    if cell.best:
        return f"**{text}**"
    return f"{text} ≈" if cell.tied else text


def as_csv(found: Sequence[ComparisonTable]) -> str:
    """The tables as CSV, one line per cell, with p as tested (`p`) and as corrected (`p_holm`)."""

    def lines() -> Iterator[list[object]]:
        yield [
            "table",
            "method",
            "column",
            "metric",
            "mean",
            "spread",
            "seeds",
            "best",
            "p",
            "p_holm",
        ]
        for table in found:
            for method, cells in table.rows.items():
                for column, cell in zip(table.columns, cells, strict=True):
                    if cell is not None:
                        p = ["", ""] if cell.behind is None else [cell.behind.p, cell.p]
                        values = [cell.mean, cell.spread, cell.seeds, int(cell.best), *p]
                        yield [table.title, method, column.title, column.path, *values]

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines())
    return text.getvalue()


def all_metrics_csv(outcomes: Sequence[Outcome]) -> str:
    """All metrics of all runs as CSV, one line per metric and run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "seed", "metric", "value"])
    for outcome in outcomes:
        for path, value in outcome.metrics.items():
            writer.writerow([outcome.method, outcome.seed, path, value])
    return text.getvalue()
