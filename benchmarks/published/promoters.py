"""Promoters by upstream, core and downstream DNA, against CNNProm (Umarov and Solovyev 2017, arXiv 1610.00121).

python benchmarks/published/promoters.py --data=cnnprom.npz --problem=arabidopsis_tata --output=tata.json
python benchmarks/published/table.py --results=DIR --output=docs/results/published.md

Three regions of a sequence are three modalities, each with a convolution over its letters. A fusion head (mnl, p = 1)
weighs them. Cross-validation: five folds of the sequences, drawn by the seed. Sn: share of the promoters that are found.
Sp: share of the others that are left. CC: Matthews' correlation.

The file holds arrays of strings of equal length, such as Arabidopsis_tata and Arabidopsis_non_prom. The originals are
the FASTA files of the repository solovictor/CNNPromoterData on GitHub.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from absl import app, flags
from common import Results

DATA = flags.DEFINE_string("data", None, "The sequences as .npz.", required=True)
PROBLEM = flags.DEFINE_string("problem", None, "A name of PROBLEMS.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of folds, weights and order.")
FOLDS = flags.DEFINE_integer("folds", 5, "Parts that are left out in turn.", lower_bound=2)
EPOCHS = flags.DEFINE_integer("epochs", 15, "Passes over the training folds.", lower_bound=1)
FILTERS = flags.DEFINE_integer("filters", 48, "Filters of a region.", lower_bound=1)
PENALTY = flags.DEFINE_float("penalty", 0.003, "Lambda of mnl.", lower_bound=0)
OUTPUT = flags.DEFINE_string("output", "", "JSON file of the results.")

LETTERS = b"ACGT"
# Columns of sequences of -200 to +50 round the start of transcription, which is column 200.
EUKARYOTES = {"upstream": (0, 160), "core": (160, 211), "downstream": (211, 251)}
# Of -60 to +20, the start being column 60: box -35, box -10 with the start, and what follows.
BACTERIA = {"upstream": (0, 42), "core": (42, 62), "downstream": (62, 81)}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Names of the arrays, and the columns of each region."""

    promoters: str
    others: str
    regions: Mapping[str, tuple[int, int]]


PROBLEMS = {
    "arabidopsis_tata": Problem("Arabidopsis_tata", "Arabidopsis_non_prom", EUKARYOTES),
    "arabidopsis_non_tata": Problem("Arabidopsis_non_tata", "Arabidopsis_non_prom_big", EUKARYOTES),
    "mouse_tata": Problem("Mouse_tata", "Mouse_nonprom", EUKARYOTES),
    "ecoli": Problem("Ecoli_prom", "Ecoli_non_prom", BACTERIA),
    "bacillus": Problem("Bacillus_prom", "Bacillus_non_prom", BACTERIA),
}


def one_hot(sequences: np.ndarray) -> np.ndarray:
    """[n, length, 4] float32 of bytes strings [n]; a letter other than A, C, G and T is zeros."""
    length = sequences.dtype.itemsize
    codes = np.frombuffer(np.char.upper(sequences).tobytes(), np.uint8).reshape(-1, length)
    return (codes[:, :, None] == np.frombuffer(LETTERS, np.uint8)).astype(np.float32)


def regions(problem: Problem, sequences: np.ndarray) -> dict[str, np.ndarray]:
    """Region -> [n, letters of the region, 4]."""
    return {name: sequences[:, begin:end] for name, (begin, end) in problem.regions.items()}


def network(shape: tuple[int, ...]):
    """A region's sub-network: motifs by convolutions, their best places roughly, a dense layer."""
    import keras

    inputs = keras.Input(shape)
    x = keras.layers.Conv1D(FILTERS.value, 9, activation="relu", padding="same")(inputs)
    x = keras.layers.MaxPooling1D(4, padding="same")(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dropout(0.5)(x))


def measures(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Sn, Sp and Matthews' correlation of predictions and labels 0 or 1."""
    from sklearn.metrics import matthews_corrcoef

    return {
        "Sn": float(np.mean(found[labels == 1] == 1)),
        "Sp": float(np.mean(found[labels == 0] == 0)),
        "CC": float(matthews_corrcoef(labels, found)),
    }


def fold(
    problem: Problem, train: tuple, test: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(predictions [n], contributions [M]) of a model trained without the fold."""
    import keras

    from huse_tf import keys
    from huse_tf.jobs.train_fused import outputs_of, train_fused

    keras.utils.set_random_seed(seed)
    features = regions(problem, train[0])
    networks = {name: network(values.shape[1:]) for name, values in features.items()}
    model, thetas = train_fused(
        networks,
        features,
        train[1],
        2,
        penalty=PENALTY.value,
        learning_rate=1e-3,
        epochs=EPOCHS.value,
        batch_size=64,
        seed=seed,
    )
    logits = outputs_of(model, regions(problem, test))[keys.FUSED_LOGITS]
    return logits.argmax(axis=1), thetas[-1]


def main(arguments: Sequence[str]) -> None:
    from sklearn.model_selection import StratifiedKFold

    from huse_tf.errors import unknown_name

    if len(arguments) > 1:
        raise app.UsageError(f"Settings are given as --NAME=VALUE. Received: {arguments[1:]}.")
    if PROBLEM.value not in PROBLEMS:
        raise unknown_name("problem", PROBLEM.value, PROBLEMS)
    problem = PROBLEMS[PROBLEM.value]
    data = np.load(DATA.value, allow_pickle=False)
    arrays = [data[problem.promoters], data[problem.others]]
    sequences = one_hot(np.concatenate(arrays))
    labels = np.repeat([1, 0], [len(each) for each in arrays]).astype(np.int32)
    settings = {"folds": FOLDS.value, "epochs": EPOCHS.value, "penalty": PENALTY.value}
    settings |= {"promoters": len(arrays[0]), "others": len(arrays[1])}
    settings |= {"filters": FILTERS.value}
    results = Results(OUTPUT.value, PROBLEM.value, sys.argv, settings)
    for seed in map(int, SEEDS.value):
        if results.has(seed=seed):
            continue
        found, thetas = np.empty(len(labels), int), []
        folds = StratifiedKFold(FOLDS.value, shuffle=True, random_state=seed)
        for train, test in folds.split(sequences, labels):
            found[test], theta = fold(
                problem, (sequences[train], labels[train]), sequences[test], seed
            )
            thetas.append(theta)
        shares = zip(problem.regions, np.mean(thetas, axis=0), strict=True)
        first = np.mean([[*problem.regions][row.argmax()] == "core" for row in thetas])
        row = {f"theta/{name}": float(share) for name, share in shares}
        results.add(seed=seed, **measures(found, labels), **row, core_first=float(first))


if __name__ == "__main__":
    app.run(main)
