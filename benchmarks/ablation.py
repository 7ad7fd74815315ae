"""An ablation of HUSE's losses: trains variants over several seeds and writes one table.

python benchmarks/ablation.py --flagfile=experiments/home_goods.flags --output=docs/results/ablation.md

Every seed draws another split, other initial weights and another order. Finished runs are not trained again, so
an interrupted benchmark resumes. Metrics are of the test split, mean ± standard deviation.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags
from marks import write_between_marks

from huse_tf import keys
from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.config import Config
from huse_tf.settings import replaced

flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Seeds, at least three for a claim.")
flags.DEFINE_string("output", None, "The Markdown file that holds the marks.", required=True)
flags.DEFINE_string("mark", "ablation", "NAME of the marks <!-- NAME --> and <!-- end of NAME -->.")
flags.DEFINE_list("variants", [], "Numbers of the variants to train, from 0. Default: all.")

# Row of the table -> changes to the method.
VARIANTS: dict[str, dict[str, float | str]] = {
    "HUSE": {},
    "without semantic graph (β = 0)": {"graph_weight": 0.0},
    "without gap (γ = 0)": {"gap_weight": 0.0},
    "classification only (β = γ = 0)": {"graph_weight": 0.0, "gap_weight": 0.0},
}
FLOOR = "frozen features"
COLUMNS = {
    "image": "classification/image/accuracy",
    "text": "classification/text/accuracy",
    "fused": "classification/fused/accuracy",
    "I→I mAP": "image_to_image/class/mean_average_precision",
    "I→T mAP": "image_to_text/class/mean_average_precision",
    "T→I mAP": "text_to_image/class/mean_average_precision",
    "T→T mAP": "text_to_text/class/mean_average_precision",
    "T→I product R@10": "text_to_image/item/recall_at_10",
    "I→T HP@5": "image_to_text/hierarchical_precision_at_5",
    "T→I HP@5": "text_to_image/hierarchical_precision_at_5",
}


def main(values: flags.FlagValues) -> None:
    base = config_flags.from_flags(values=values)
    import_tensorflow()
    seeds = [int(seed) for seed in values.seeds]
    home = pathlib.Path(base.training.run_dir + "-ablation")
    chosen = {int(number) for number in values.variants} or set(range(len(VARIANTS)))
    variants = [v for number, v in enumerate(VARIANTS.items()) if number in chosen]
    rows: dict[str, list[Mapping[str, float]]] = {FLOOR: [], **{name: [] for name, _ in variants}}
    for seed in seeds:
        for name, changes in variants:
            number = list(VARIANTS).index(name)
            print(f"{name}, seed {seed}", flush=True)
            settings = _settings(base, changes, seed, home / f"variant-{number}-seed-{seed}")
            rows[name].append(_test_metrics(settings))
        rows[FLOOR].append(_floor(settings))
    command = shlex.join(["python", *sys.argv])
    path = pathlib.Path(values.output)
    write_between_marks(path, values.mark, _document(command, rows, seeds))
    print(_table(rows))


def _settings(
    base: Config, changes: Mapping[str, float | str], seed: int, folder: pathlib.Path
) -> Config:
    return dataclasses.replace(
        base,
        method=replaced(base.method, **changes),
        data=dataclasses.replace(base.data, split_seed=seed),
        training=dataclasses.replace(base.training, seed=seed, run_dir=str(folder)),
    )


def _test_metrics(settings: Config) -> Mapping[str, float]:
    """The test metrics of one run, with the fusion weight of its validation split."""
    from huse_tf.jobs import measure, train

    trained = train.train_model(settings)
    weight = measure.run_fusion_weight(trained.run)
    found = measure.measure_split(trained.model, trained.dataset, settings, keys.TEST, weight)
    return found.metrics


def _floor(settings: Config) -> Mapping[str, float]:
    """Accuracy of the five nearest training items, and retrieval, by the cosine of the frozen features."""
    from huse_tf.evaluation.context import EvaluationContext
    from huse_tf.evaluation.frozen_features import frozen_retrieval, nearest_neighbours
    from huse_tf.jobs import run_data

    data = run_data.load_data(settings, pathlib.Path(settings.training.run_dir))
    items, test = data.split(keys.TEST)
    context = EvaluationContext(items, data.taxonomy, settings.evaluation)
    metrics, _ = frozen_retrieval(test, context)
    neighbours = nearest_neighbours(data.features_of(keys.TRAIN), test)
    return metrics | {path: float(hits.mean()) for path, (_, hits) in neighbours.items()}


def _table(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Markdown; the best mean of each column in bold."""
    means = {
        name: {
            column: np.mean([run.get(path, np.nan) for run in runs])
            for column, path in COLUMNS.items()
        }
        for name, runs in rows.items()
    }
    best = {column: np.nanmax([means[name][column] for name in rows]) for column in COLUMNS}
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, runs in rows.items():
        cells = []
        for column, path in COLUMNS.items():
            mean = means[name][column]
            if np.isnan(mean):
                cells.append("–")
                continue
            spread = np.std([run[path] for run in runs], ddof=1) if len(runs) > 1 else 0.0
            cell = f"{mean:.3f} ± {spread:.3f}"
            cells.append(f"**{cell}**" if mean == best[column] else cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _document(
    command: str, rows: Mapping[str, Sequence[Mapping[str, float]]], seeds: Sequence[int]
) -> str:
    return (
        f"Written by `{command}`:\n"
        f"Test items of {len(seeds)} splits (seeds {', '.join(map(str, seeds))}), mean ± standard "
        "deviation. Accuracy by image, text and both. mAP: over all candidates; relevant candidates are "
        "other products of the query's class, and the query's own product is excluded. Product R@10: an "
        "image of the query's product is among the first ten. HP@5: hierarchical precision of other "
        "products. Frozen features: the encoders' features, scaled to unit norm, nothing learned; accuracy "
        "by the vote of the five nearest training items.\n\n"
        f"{_table(rows)}\n\n{_differences(rows)}\n"
    )


def _differences(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """The first variant minus the frozen features, seed by seed on the same items: mean ± standard error."""
    first = next(name for name in rows if name != FLOOR)
    accuracy = {
        name: {
            source: np.array([run[f"classification/{source}/accuracy"] for run in runs])
            for source in ("image", "text", "fused")
        }
        for name, runs in ((FLOOR, rows[FLOOR]), (first, rows[first]))
    }
    ours, floor = accuracy[first], accuracy[FLOOR]
    single = max(("image", "text"), key=lambda source: ours[source].mean())
    pairs = {f"{source} over {FLOOR}": (ours[source], floor[source]) for source in ours}
    pairs[f"fused over {single} alone"] = (ours["fused"], ours[single])
    parts = []
    for name, (one, other) in pairs.items():
        each = one - other
        error = each.std(ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0.0
        parts.append(f"{name} {each.mean():+.3f} ± {error:.3f}")
    return (
        f"{first}, difference in accuracy on the same items (± standard error): "
        + "; ".join(parts)
        + "."
    )


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
