"""Contributions of three modalities of a catalogue, beside what dropping each of them costs.

python benchmarks/modality_weights.py --flagfile=experiments/home_goods_modality_weights.flags

The modalities are the picture and each text column by itself (title and description). A modality that
contributes more should cost more accuracy when the model is trained without it.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np
from absl import flags

from huse_tf import command_line, config_flags, keys
from huse_tf.errors import UserError
from huse_tf.quiet import import_tensorflow

flags.DEFINE_list(
    "seeds", ["0", "1", "2"], "Seeds of weights and order, at least three for a claim."
)
flags.DEFINE_float("fused_penalty", 1e-4, "Lambda of mnl, in units of normalised features.")
flags.DEFINE_integer("fused_epochs", 30, "Passes over the training items.", lower_bound=1)

HEADS = {"softmax": ("softmax", 1.0), "mnl, p = 1": ("mnl", 1.0), "mnl, p = 2": ("mnl", 2.0)}
HEADS["gate"] = ("gate", 1.0)


def main(values: flags.FlagValues) -> None:
    config = config_flags.from_flags(values=values)
    import_tensorflow()
    from huse_tf import dataset as datasets
    from huse_tf.features.encoder import Encoder
    from huse_tf.features.extract import extract
    from huse_tf.features.run_encoders import RunEncoders
    from huse_tf.run_folder import run_folder

    folder = run_folder(config)
    dataset = datasets.prepare(config, folder)
    encoder = RunEncoders.of_run(config.features, folder).text
    if not isinstance(encoder, Encoder):
        raise UserError(f"The text columns are encoded one by one. Received: {encoder.spec}.")
    features = {keys.IMAGE: np.asarray(dataset.features[keys.IMAGE_FEATURES])}
    columns = zip(*dataset.items["text_fields"], strict=True)
    for name, texts in zip(config.data.text_columns, columns, strict=True):
        cache_dir = pathlib.Path(config.features.cache_dir)
        features[name] = extract(encoder, texts, cache_dir=cache_dir, label=name).features
    split, labels = dataset.items["split"].to_numpy(), dataset.items["label"].to_numpy()
    sides = [
        ({name: each[split == side] for name, each in features.items()}, labels[split == side])
        for side in (keys.TRAIN, keys.TEST)
    ]
    seeds = [int(seed) for seed in values.seeds]
    report(sides, len(dataset.taxonomy.classes), seeds, values.fused_penalty, values.fused_epochs)


def report(sides: list, num_classes: int, seeds: list[int], penalty: float, epochs: int) -> None:
    """Prints a row a head: contributions, accuracy of all, and accuracy without each modality."""
    names = [*sides[0][0]]
    without = [f"without {name}" for name in names]
    print("| | " + " | ".join([*names, "accuracy", *without]) + " |")
    print("|---" * (2 * len(names) + 2) + "|")
    for head in HEADS:
        rows = []
        for seed in seeds:
            shares, right = trial(sides, num_classes, head, names, seed, penalty, epochs)
            dropped = [
                trial(sides, num_classes, head, set(names) - {name}, seed, penalty, epochs)[1]
                for name in names
            ]
            rows.append([*shares, right, *dropped])
        cells = (
            f"{mean:.3f} ± {std:.3f}"
            for mean, std in zip(np.mean(rows, 0), np.std(rows, 0), strict=True)
        )
        print(f"| {head} | " + " | ".join(cells) + " |", flush=True)


def trial(
    sides: list,
    num_classes: int,
    head: str,
    names: Iterable[str],
    seed: int,
    penalty: float,
    epochs: int,
) -> tuple[np.ndarray, float]:
    """([M] contributions, accuracy on the test items) of a model trained on these modalities."""
    import keras

    from huse_tf.modalities import accuracy, train_fused

    keras.utils.set_random_seed(seed)
    (features, labels), test = sides
    networks = {}
    for name in features:  # in one order, whatever is left out
        if name in names:
            inputs = keras.Input(features[name].shape[1:])
            x = keras.layers.Dropout(0.3)(inputs)
            networks[name] = keras.Model(inputs, keras.layers.Dense(128, activation="relu")(x))
    fusion, p = HEADS[head]
    model, contributions = train_fused(
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
    return contributions[-1], accuracy(model, *test)


if __name__ == "__main__":
    command_line.run(main, "data", "features", "training", "evaluation", "export", method=True)
