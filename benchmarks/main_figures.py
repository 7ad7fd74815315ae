"""The main metrics of methods, from the CSV file of a comparison, as one small table.

python benchmarks/main_figures.py --table=docs/results/home_goods.csv --output=docs/results/index.md
python benchmarks/main_figures.py --table=docs/results/home_goods.csv --output=README.md --nofold \
  --rows=huse,huse_plus,devise,dscmr:epochs=60,late_fusion,cca,triplet,"frozen features"
"""

from __future__ import annotations

import pathlib
import re
import shlex
import sys
from collections.abc import Sequence

import pandas as pd
from absl import flags
from marks import write_between_marks

from huse_tf.cli import command_line
from huse_tf.errors import UserError, unknown_name
from huse_tf.evaluation.comparison_table import LEVEL

flags.DEFINE_string("table", None, "The CSV file.", required=True)
flags.DEFINE_string("output", None, "The Markdown file that holds the marks.", required=True)
flags.DEFINE_string("mark", "comparison", "NAME of <!-- NAME --> and <!-- end of NAME -->.")
flags.DEFINE_list("rows", [], "Methods to show, in this order. Default: all.")
flags.DEFINE_bool("fold", True, "Whether the other methods follow in a block that can be opened.")

# Column -> metric.
COLUMNS = {
    "own product I→T": "image_to_text/item/recall_at_10",
    "T→I": "text_to_image/item/recall_at_10",
    "within class": "pairs/same_class/auc",
    "accuracy, image": "classification/image/accuracy",
    "text": "classification/text/accuracy",
    "both": "classification/fused/accuracy",
    "mAP I→T": "image_to_text/class/mean_average_precision",
    "T→I ": "text_to_image/class/mean_average_precision",
    "HP@5 I→T": "image_to_text/hierarchical_precision_at_5",
    "T→I  ": "text_to_image/hierarchical_precision_at_5",
}


_CANDIDATES = "{task}/item/candidates"

_NOTE = (
    "Own product: R@10, a query's own product is found among the first ten of {images} images (T→I) or {texts} texts "
    "(I→T). Within class: AUC, an item's own text is told from another product's of its class; .5 is chance. mAP: relevant candidates are other products of the query's class. HP@5: hierarchical precision of other "
    "products. The query's own product is excluded. Bold: the best of all methods compared. ≈: not significantly "
    "behind it."
)


def main(values: flags.FlagValues) -> None:
    cells = pd.read_csv(values.table).drop_duplicates(["method", "metric"])
    cells = cells.set_index(["method", "metric"])
    missing = set(COLUMNS.values()) - set(cells.index.get_level_values("metric"))
    if missing:
        raise UserError(f"Expected a comparison with embeddings. Received one without: {missing}.")
    methods = list(dict.fromkeys(cells.index.get_level_values("method")))
    shown = values.rows or methods
    for name in shown:
        if name not in methods:
            raise unknown_name("method in --rows", name, methods)
    table = _table(cells, shown)
    others = [name for name in methods if name not in shown]
    if others and values.fold:
        summary = f"<summary>{len(others)} more methods and variants</summary>"
        table += f'\n<details markdown="1">{summary}\n\n{_table(cells, others)}\n</details>\n'
    command = shlex.join(["python", *sys.argv])
    note = _NOTE.format(
        images=_candidates(cells, "text_to_image"), texts=_candidates(cells, "image_to_text")
    )
    write_between_marks(
        pathlib.Path(values.output), values.mark, f"Written by `{command}`:\n{note}\n\n{table}"
    )
    print(table)


def _candidates(cells: pd.DataFrame, task: str) -> str:
    """How many candidates a task has, as text; older tables do not say it."""
    metric = _CANDIDATES.format(task=task)
    counts = cells[cells.index.get_level_values("metric") == metric]["mean"]
    return f"{counts.iloc[0]:,.0f}" if len(counts) else "all"


def _table(cells: pd.DataFrame, methods: Sequence[str]) -> str:
    lines = ["| method | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for method in methods:
        row = [
            _shown(cells.loc[(method, metric)]) if (method, metric) in cells.index else "–"
            for metric in COLUMNS.values()
        ]
        name = "<br>".join(f"`{part}`" for part in re.split(r"(?=:\w+=)", method))
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _shown(cell: pd.Series) -> str:
    text = f"{cell['mean']:.3f}".removeprefix("0")
    if cell["best"]:
        return f"**{text}**"
    return f"{text}&nbsp;≈" if cell["p_holm"] >= LEVEL else text


if __name__ == "__main__":
    command_line.run(main)
