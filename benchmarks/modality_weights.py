"""Measures the contributions of images and text columns, and the accuracy lost without each of them.

python benchmarks/modality_weights.py --flagfile=experiments/home_goods_three_modalities.flags \\
  --output=docs/results/modality_weights.md

A modality that contributes more should cost more accuracy when the model is trained without it.
"""

from __future__ import annotations

import pathlib
import shlex
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from absl import flags
from marks import write_between_marks

from huse_tf import keys
from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.errors import UserError

flags.DEFINE_list(
    "seeds", ["0", "1", "2"], "Seeds of weights and order. Use at least three to support a claim."
)
flags.DEFINE_float("fused_penalty", 1e-4, "Lambda of mnl, in units of normalised features.")
flags.DEFINE_integer("fused_epochs", 30, "Passes over the training items.", lower_bound=1)
flags.DEFINE_string(
    "output", "", "Markdown file for the table, between <!-- contributions --> and its end mark."
)

HEADS = {"softmax": ("softmax", 1.0), "mnl, p = 1": ("mnl", 1.0), "mnl, p = 2": ("mnl", 2.0)}
HEADS["gate"] = ("gate", 1.0)


def main(values: flags.FlagValues) -> None:
    config = config_flags.from_flags(values=values)
    if not config.features.encodes_fields:
        raise UserError(
            "Each text column must be a modality. Expected --text_encoder=fields:COLUMNS:ENCODER, such as "
            f"fields:2:minilm. Received: {config.features.text_encoder!r}. Change --text_encoder."
        )
    import_tensorflow()  # before the imports below, so that --help is quick
    from huse_tf.jobs import run_data
    from huse_tf.jobs.runs import open_run

    dataset = run_data.load_data(config, open_run(config))
    names = config.fused_modalities
    splits = []
    for split in (keys.TRAIN, keys.TEST):
        features = dataset.features_of(split)
        blocks = np.split(np.asarray(features[keys.TEXT_FEATURES]), len(names) - 1, axis=1)
        images = np.asarray(features[keys.IMAGE_FEATURES])
        splits.append((dict(zip(names, (images, *blocks), strict=True)), features[keys.LABEL]))
    seeds = [int(seed) for seed in values.seeds]
    table = []
    for line in rows(splits, len(dataset.taxonomy.classes), seeds, values):
        print(line, flush=True)
        table.append(line)
    if values.output:
        command = shlex.join(["python", *sys.argv])
        text = "\n".join([f"Written by `{command}`:", "", *table, ""])
        write_between_marks(pathlib.Path(values.output), "contributions", text)


def rows(
    splits: list, num_classes: int, seeds: Sequence[int], values: flags.FlagValues
) -> Iterable[str]:
    """One row per head: contributions, accuracy with all modalities, accuracy without each of them."""
    settings = values.fused_penalty, values.fused_epochs
    names = [*splits[0][0]]
    yield f"| | {' | '.join([*names, 'accuracy', *(f'without {name}' for name in names)])} |"
    yield "|---" * (2 * len(names) + 2) + "|"
    for head in HEADS:
        found = []
        for seed in seeds:
            shares, right = trial(splits, num_classes, head, names, seed, *settings)
            dropped = [
                trial(splits, num_classes, head, set(names) - {name}, seed, *settings)[1]
                for name in names
            ]
            found.append([*shares, right, *dropped])
        spreads = np.std(found, axis=0, ddof=min(1, len(seeds) - 1))
        cells = zip(np.mean(found, axis=0), spreads, strict=True)
        yield f"| {head} | {' | '.join(f'{mean:.3f} ± {std:.3f}' for mean, std in cells)} |"


def trial(
    splits: list,
    num_classes: int,
    head: str,
    names: Iterable[str],
    seed: int,
    penalty: float,
    epochs: int,
) -> tuple[np.ndarray, float]:
    """([M] contributions, accuracy) on the test items, of a model trained on the modalities `names`."""
    import keras  # `main` has imported TensorFlow

    from huse_tf.jobs.train_fused import accuracy, contributions, train_fused

    keras.utils.set_random_seed(seed)
    (features, labels), test = splits
    networks = {}
    for name in features:  # in the same order for every subset of names
        if name in names:
            inputs = keras.Input(features[name].shape[1:])
            x = keras.layers.Dropout(0.3)(inputs)
            networks[name] = keras.Model(inputs, keras.layers.Dense(128, activation="relu")(x))
    fusion, p = HEADS[head]
    model, _ = train_fused(
        networks,
        {name: features[name] for name in networks},
        labels,
        num_classes,
        fusion=fusion,
        p=p,
        penalty=penalty,
        learning_rate=3e-3,
        epochs=epochs,
        seed=seed,
    )
    return contributions(model, test[0]), accuracy(model, *test)


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
