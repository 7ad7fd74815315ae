"""What search loses where vectors are cut, or kept as bytes or bits: one table of finished runs.

python benchmarks/smaller_vectors.py --runs=runs/a,runs/b --output=docs/guides/smaller_vectors.md --mark=home_goods

Metrics are of the test split, means over the runs. Prefixes are measured whether they were trained or not; reports
(`evaluation/smaller_vectors.py`) have trained ones only.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags
from marks import write_between_marks

from huse_tf import config as configs
from huse_tf import keys
from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.evaluation.smaller_vectors import (
    SMALLER,
    smaller_vector_metrics,
    smaller_vectors_table,
)
from huse_tf.run_folder import RunFolder

flags.DEFINE_list("runs", None, "Folders of finished runs of one setting.", required=True)
flags.DEFINE_list("prefixes", ["64", "128", "256"], "Sizes to cut embeddings to.")
flags.DEFINE_string("output", None, "The Markdown file that holds the marks.", required=True)
flags.DEFINE_string("mark", "smaller", "NAME of the marks <!-- NAME --> and <!-- end of NAME -->.")

NAMES = {
    "float32": "float32",
    "int8": "int8",
    "binary": "binary",
    "binary_rescored": "binary, first 100 re-scored",
}


def main(values: flags.FlagValues) -> None:
    import_tensorflow()
    prefixes = [int(size) for size in values.prefixes]
    table = document([measured(pathlib.Path(run), prefixes) for run in values.runs])
    write_between_marks(pathlib.Path(values.output), values.mark, table)
    print(table)


def measured(folder: pathlib.Path, prefixes: Sequence[int]) -> dict[str, float]:
    """`smaller_vector_metrics` of the test items of a run."""
    from huse_tf.evaluation.predictions import galleries, predict
    from huse_tf.jobs.run_data import load_data
    from huse_tf.jobs.runs import trained_model

    run = RunFolder(folder)
    config = configs.load(run)
    dataset = load_data(config, run)
    items, features = dataset.split(keys.TEST)
    predictions = predict(trained_model(run), features, dataset.spec.multi_label)
    found = galleries(predictions, items)
    return smaller_vector_metrics(*found, prefixes, config.evaluation.query_chunk)


def document(runs: Sequence[Mapping[str, float]]) -> str:
    """The table of means over runs, each with the difference to the whole vector of floats."""
    means = {path: float(np.mean([run[path] for run in runs])) for path in runs[0]}
    tasks, rows = smaller_vectors_table(means)
    titles = [f"{task.replace('_to_', ' → ')}, own product R@10" for task in tasks]
    lines = [
        " | ".join(["| units", "kept as", "bytes", *titles, "class mAP |"]),
        "|" + "---|" * (len(tasks) + 4),
    ]
    for row in rows:
        whole = row.size == rows[-1].size and row.kind == "float32"
        cells = [
            "–" if cell is None else f"{cell[0]:.3f}" + ("" if whole else f" ({cell[1]:+.3f})")
            for cell in row.values
        ]
        line = [str(row.size), NAMES[row.kind], f"{row.bytes:,}", *cells]
        lines.append(f"| {' | '.join(line)} |".replace("-0.", "−0."))
    count = "1 run" if len(runs) == 1 else f"mean of {len(runs)} runs"
    queries = ", ".join(f"{run[f'{SMALLER}/queries']:,.0f}" for run in runs)
    return "\n".join([*lines, "", f"Test items, {count}; at most {queries} queries a task."])


if __name__ == "__main__":
    command_line.run(main)
