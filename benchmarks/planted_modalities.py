"""Checks learned contributions on synthetic data: motifs planted in random strings of letters.

python benchmarks/planted_modalities.py --output=docs/results/modality_weights.md

The first problem follows the synthetic data of InTense (Varshneya et al. 2024): strings over A, C, G, T. Each
modality holds the motif of its class, seven letters, with a known probability. The contributions should have the
order of these probabilities, and be about 0 for probability 0. The second problem imitates transcription starts: three
segments of a sequence are modalities, and only one class has motifs.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from absl import app, flags
from marks import write_between_marks

SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds. Use at least three to support a claim.")
ITEMS = flags.DEFINE_integer("items", 3000, "Number of training items.", lower_bound=100)
EPOCHS = flags.DEFINE_integer("epochs", 30, "Passes over the training items.", lower_bound=1)
PENALTY = flags.DEFINE_float("penalty", 0.003, "Lambda of mnl.", lower_bound=0)
OUTPUT = flags.DEFINE_string(
    "output", "", "Markdown file for the tables, between <!-- planted --> and its end mark."
)

LETTERS = "ACGT"
LENGTH = 40  # letters of a string
HEADS = {
    "softmax": ("softmax", 1.0),
    "mnl, p = 1": ("mnl", 1.0),
    "mnl, p = 2": ("mnl", 2.0),
    "gate": ("gate", 1.0),
}


@dataclasses.dataclass(frozen=True)
class Planted:
    """A modality: the motif of each class ("" for none), and the probability that an item holds it."""

    motifs: tuple[str, str]
    probability: float


PROBLEMS: dict[str, dict[str, Planted]] = {
    "motifs in four modalities": {
        "p = 0.9": Planted(("ACGTACG", "TTGACCA"), 0.9),
        "p = 0.6": Planted(("GGCATTA", "CATCGGT"), 0.6),
        "p = 0.3": Planted(("TGTGCAA", "CCTAGAG"), 0.3),
        "p = 0": Planted(("AAGCTGC", "GTCATGA"), 0.0),
    },
    "segments of a transcription start": {
        "upstream": Planted(("", "GGGCGGG"), 0.2),
        "start": Planted(("", "TCAGTCT"), 0.4),
        "downstream": Planted(("", "TATAAAA"), 0.8),
    },
}


def strings(rng: np.random.Generator, planted: Planted, labels: np.ndarray) -> np.ndarray:
    """[n, LENGTH, 4] one-hot letters, with the motif of the item's class at a random place."""
    codes = rng.integers(0, len(LETTERS), (len(labels), LENGTH))
    for row in np.flatnonzero(rng.random(len(labels)) < planted.probability):
        motif = [LETTERS.index(letter) for letter in planted.motifs[labels[row]]]
        place = rng.integers(0, LENGTH - len(motif) + 1)
        codes[row, place : place + len(motif)] = motif
    return np.eye(len(LETTERS), dtype=np.float32)[codes]


def sub_networks(modalities: Mapping[str, Planted]) -> dict:
    """Modality -> network: the maxima of 16 convolution filters of the motif's length."""
    import keras  # here, so that --help is quick

    networks = {}
    for name in modalities:
        inputs = keras.Input((LENGTH, len(LETTERS)))
        x = keras.layers.Conv1D(16, 7, activation="relu")(inputs)
        networks[name] = keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(x))
    return networks


def trial(modalities: Mapping[str, Planted], head: str, seed: int) -> tuple[np.ndarray, float]:
    """([M] contributions, accuracy on new items) after training."""
    import keras  # here, so that --help is quick

    from huse_tf.jobs.train_fused import accuracy, train_fused

    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    splits = []
    for _ in range(2):
        labels = rng.integers(0, 2, ITEMS.value)
        features = {name: strings(rng, each, labels) for name, each in modalities.items()}
        splits.append((features, labels))
    fusion, p = HEADS[head]
    model, contributions = train_fused(
        sub_networks(modalities),
        *splits[0],
        2,
        fusion=fusion,
        p=p,
        penalty=PENALTY.value,
        learning_rate=5e-3,
        epochs=EPOCHS.value,
        seed=seed,
    )
    return contributions[-1], accuracy(model, *splits[1])


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Settings are given as --NAME=VALUE. Received: {arguments[1:]}.")
    seeds = [int(seed) for seed in SEEDS.value]
    table = []
    for title, modalities in PROBLEMS.items():
        for line in rows(title, modalities, seeds):
            print(line, flush=True)
            table.append(line)
    if OUTPUT.value:
        command = shlex.join(["python", *sys.argv])
        text = "\n".join([f"Written by `{command}`:", *table, ""])
        write_between_marks(pathlib.Path(OUTPUT.value), "planted", text)


def rows(title: str, modalities: Mapping[str, Planted], seeds: Sequence[int]) -> Iterable[str]:
    """The lines of one problem's table, one row per head."""
    yield f"\n{title[0].upper()}{title[1:]}: mean ± standard deviation of {len(seeds)} seeds\n"
    yield f"| contributions | {' | '.join([*modalities, 'accuracy', 'in order'])} |"
    yield "|---" * (len(modalities) + 3) + "|"
    wanted = np.argsort([each.probability for each in modalities.values()])
    for head in HEADS:
        results = [trial(modalities, head, seed) for seed in seeds]
        found = np.stack([contributions for contributions, _ in results])
        ordered = sum((np.argsort(row) == wanted).all() for row in found)
        spreads = found.std(0, ddof=min(1, len(seeds) - 1))
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(found.mean(0), spreads, strict=True)]
        right = np.mean([share for _, share in results])
        yield f"| {head} | {' | '.join(cells)} | {right:.3f} | {ordered} of {len(seeds)} |"


if __name__ == "__main__":
    app.run(main)
