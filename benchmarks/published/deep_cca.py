"""CCA and deep CCA on MNIST, against the numbers of Andrew et al. 2013 and Wang et al. 2015.

python benchmarks/published/deep_cca.py --data=mnist.npz --problem=halves --output=halves.json
python benchmarks/published/deep_cca.py --data=mnist.npz --problem=noisy --output=noisy.json
python benchmarks/published/table.py --results=DIR --output=docs/results/published.md

halves: the left and the right half of each digit, 50 dimensions; the sum of the correlations of the variates.
noisy: a digit that is rotated, and another digit of its class in noise, 10 dimensions; the error of a linear
support vector machine on the variates of the rotated digits.

The file is MNIST in its official order: x_train [60000, 28, 28] uint8, y_train, x_test, y_test, as
`keras.datasets.mnist` downloads it.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.ndimage
from absl import app, flags
from common import Results

DATA = flags.DEFINE_string("data", None, "MNIST as .npz.", required=True)
PROBLEM = flags.DEFINE_enum("problem", None, ["halves", "noisy"], "Which views.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of weights, order and noise.")
METHODS = flags.DEFINE_list("methods", ["CCA", "deep CCA"], "Which of the two.")
ITEMS = flags.DEFINE_integer("items", 0, "Training items; 0: all.", lower_bound=0)
EPOCHS = flags.DEFINE_integer("epochs", 0, "Passes; 0: those of the problem.", lower_bound=0)
WIDTHS = flags.DEFINE_list(
    "widths", [], "Hidden layers of both towers; none: those of the problem."
)
OUTPUT = flags.DEFINE_string("output", "", "JSON file of the results.")

Views = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is measured, and how deep CCA is trained for it."""

    dimensions: int
    held_out: int  # of the 60,000 training digits, to choose the epoch on
    widths: tuple[int, ...]
    epochs: int
    dropout: float
    input_dropout: float
    learning_rate: float
    regularization: float
    batch_size: int = 1500


PROBLEMS = {
    "halves": Problem(50, 6_000, (512, 512), 12, 0.1, 0.0, 2e-3, 1e-3),
    "noisy": Problem(10, 10_000, (512, 512, 512), 16, 0.1, 0.0, 2e-3, 1e-3),
}


def halves(digits: np.ndarray) -> Views:
    """([n, 392], [n, 392]) in [0, 1]: the left and the right 14 columns."""
    pixels = digits.astype(np.float32) / 255
    left, right = pixels[:, :, :14], pixels[:, :, 14:]
    return left.reshape(len(pixels), -1), right.reshape(len(pixels), -1)


def noisy(digits: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Views:
    """([n, 784], [n, 784]) in [0, 1]: each digit rotated by up to 45 degrees, and another of its class in noise."""
    pixels = digits.astype(np.float32) / 255
    angles = rng.uniform(-45, 45, len(pixels))
    rotated = [
        scipy.ndimage.rotate(image, angle, reshape=False, order=1)
        for image, angle in zip(pixels, angles, strict=True)
    ]
    others = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        others[members] = rng.choice(members, len(members))
    noise = rng.uniform(0, 1, pixels.shape).astype(np.float32)
    second = np.minimum(pixels[others] + noise, 1)
    return np.stack(rotated).reshape(len(pixels), -1), second.reshape(len(pixels), -1)


def total_correlation(views: Views) -> float:
    """The sum of the correlations of column k of the one view with column k of the other."""
    first, second = (view - view.mean(axis=0) for view in views)
    lengths = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return float(((first * second).sum(axis=0) / np.maximum(lengths, 1e-12)).sum())


def svm_error(parts: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> dict:
    """Errors of linear one-versus-one machines on dev and test; C by the dev error."""
    from sklearn.multiclass import OneVsOneClassifier
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    scaler = StandardScaler().fit(parts["train"])
    rows = {name: scaler.transform(part) for name, part in parts.items()}
    best: dict = {}
    for strength in (0.01, 0.1, 1.0):
        machine = OneVsOneClassifier(LinearSVC(C=strength, dual=False))
        machine.fit(rows["train"], labels["train"])
        errors = {n: float(np.mean(machine.predict(rows[n]) != labels[n])) for n in ("dev", "test")}
        if not best or errors["dev"] < best["dev"]:
            best = errors
    return best


def splits(problem: Problem, arrays: Mapping[str, np.ndarray], seed: int) -> tuple[dict, dict]:
    """({train, dev, test: views}, {train, dev, test: labels})."""
    rng = np.random.default_rng(seed)
    cut = len(arrays["x_train"]) - problem.held_out * len(arrays["x_train"]) // 60_000
    order = rng.permutation(len(arrays["x_train"]))
    train = order[:cut][: ITEMS.value or None]
    chosen = {"train": ("train", train), "dev": ("train", order[cut:])}
    chosen["test"] = ("test", np.arange(len(arrays["x_test"])))
    views, labels = {}, {}
    for name, (part, rows) in chosen.items():
        digits = arrays[f"x_{part}"][rows]
        labels[name] = arrays[f"y_{part}"][rows].astype(np.int32)
        views[name] = (
            halves(digits) if PROBLEM.value == "halves" else noisy(digits, labels[name], rng)
        )
    return views, labels


def linear_cca(problem: Problem, views: Mapping[str, Views], seed: int) -> dict[str, Views]:
    """The variates of the best ridge on dev."""
    from huse_tf.methods.canonical_projections import canonical_projections

    best, kept = -1.0, {}
    for ridge in (1e-3, 1e-2, 1e-1):
        ones = np.ones(len(views["train"][0]))
        found = canonical_projections(
            *views["train"], ones, problem.dimensions, ridge, standardize=False
        )
        variates = {
            name: tuple(
                x @ k + b for x, k, b in zip(pair, found.kernels, found.biases, strict=True)
            )
            for name, pair in views.items()
        }
        total = total_correlation(variates["dev"])
        if total > best:
            best, kept = total, variates
    return kept


def deep_cca(problem: Problem, views: Mapping[str, Views], seed: int) -> dict[str, Views]:
    """The variates after the last epoch."""
    import keras

    from huse_tf.jobs.train_views import canonical_variates, train_views, two_views
    from huse_tf.methods.deep_cca import DeepCca

    keras.utils.set_random_seed(seed)
    widths = tuple(int(width) for width in WIDTHS.value) or problem.widths
    method = DeepCca.of(
        embedding_dim=problem.dimensions,
        image_layers=widths,
        text_layers=widths,
        dropout=problem.dropout,
        input_dropout=problem.input_dropout,
        regularization=problem.regularization,
    )
    epochs = EPOCHS.value or problem.epochs
    count = len(views["train"][0])
    batch_size = min(problem.batch_size, count)
    steps = epochs * (count // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(problem.learning_rate, steps, alpha=0.02)
    started = time.monotonic()

    def report(epoch: int, model: keras.Model) -> None:
        if epoch % 4 and epoch != epochs:
            return
        method.refit(model, subset)
        total = total_correlation(canonical_variates(model, views["dev"]))
        seconds = time.monotonic() - started
        print(
            f"  epoch {epoch}: dev {total:.2f} of {problem.dimensions}, {seconds:.0f} s", flush=True
        )

    subset = two_views([view[:10_000] for view in views["train"]])
    model = train_views(
        method,
        views["train"],
        optimizer=keras.optimizers.Adam(rate),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        after_epoch=report,
    )
    return {name: canonical_variates(model, pair) for name, pair in views.items()}


FITS = {"CCA": linear_cca, "deep CCA": deep_cca}


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Settings are given as --NAME=VALUE. Received: {arguments[1:]}.")
    problem = PROBLEMS[PROBLEM.value]
    arrays = dict(np.load(DATA.value, allow_pickle=False))
    settings = dataclasses.asdict(problem)
    settings |= {"items": ITEMS.value, "epochs": EPOCHS.value or problem.epochs}
    settings |= {"widths": [int(width) for width in WIDTHS.value] or problem.widths}
    results = Results(OUTPUT.value, PROBLEM.value, sys.argv, settings)
    for seed in map(int, SEEDS.value):
        fits = {n: FITS[n] for n in METHODS.value if not results.has(method=n, seed=seed)}
        views, labels = splits(problem, arrays, seed) if fits else ({}, {})
        for name, fit in fits.items():
            variates = fit(problem, views, seed)
            row = {f"correlation/{part}": total_correlation(variates[part]) for part in variates}
            if PROBLEM.value == "noisy":
                errors = svm_error({part: variates[part][0] for part in variates}, labels)
                row |= {f"error/{part}": error for part, error in errors.items()}
            results.add(method=name, seed=seed, **row)


if __name__ == "__main__":
    app.run(main)
