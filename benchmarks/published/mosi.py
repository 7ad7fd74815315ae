"""Learned modality weights on CMU-MOSI, against bc-LSTM (Poria et al., ACL 2017).

python benchmarks/published/mosi.py --data=mosi_bclstm.npz --output=mosi.json
python benchmarks/published/mosi.py --data=mosi_bclstm.npz --transcripts --output=mosi_transcripts.json
python benchmarks/published/table.py --results=DIR --output=docs/results/published.md

Every utterance of a video is positive or negative. Modalities: text, video, audio. An utterance alone: a dense layer
for each modality. A sequence: a bidirectional recurrent layer for each modality over the utterances of a video.

The file holds the features of Poria et al. as arrays: {text, audio, video}_{train, test} [n, dim] float32,
y_{train, test} 0 or 1, id_{train, test} VIDEO_number, transcript_{train, test}. The original is the repository
declare-lab/multimodal-deep-learning on GitHub, folder bc-LSTM-Mult.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from absl import app, flags
from common import Results

DATA = flags.DEFINE_string("data", None, "CMU-MOSI as .npz.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Seeds of weights and order.")
SUBSETS = flags.DEFINE_list("subsets", ["T", "V", "A", "TV", "TA", "AV", "TVA"], "Modalities.")
MODELS = flags.DEFINE_list("models", ["utterance", "sequence"], "Which models.")
TRANSCRIPTS = flags.DEFINE_bool(
    "transcripts", False, "MiniLM of the transcripts in place of the text features of the file."
)
EPOCHS = flags.DEFINE_integer("epochs", 20, "Passes over the training part.", lower_bound=1)
UNITS = flags.DEFINE_integer("units", 64, "Units of a modality.", lower_bound=1)
PENALTY = flags.DEFINE_float("penalty", 0.01, "Lambda of mnl.", lower_bound=0)
HELD_OUT = flags.DEFINE_bool(
    "held_out", False, "Measure on a fifth of the training videos in place of the test part."
)
OUTPUT = flags.DEFINE_string("output", "", "JSON file of the results.")

NAMES = {"T": "text", "V": "video", "A": "audio"}
BATCHES = {"utterance": 64, "sequence": 10}  # utterances; videos

Part = tuple[dict[str, np.ndarray], np.ndarray]


def sequences(ids: Sequence[str]) -> list[np.ndarray]:
    """The rows of each video, in the order of its utterances; ids are VIDEO_number."""
    videos: dict[str, list[tuple[int, int]]] = {}
    for row, name in enumerate(ids):
        video, number = str(name).rsplit("_", 1)
        videos.setdefault(video, []).append((int(number), row))
    return [np.array([row for _, row in sorted(pairs)]) for pairs in videos.values()]


def padded(values: np.ndarray, rows: Sequence[np.ndarray], steps: int, fill: float) -> np.ndarray:
    """[videos, steps, ...]: the values of each video's rows, then `fill`."""
    result = np.full((len(rows), steps, *values.shape[1:]), fill, values.dtype)
    for place, chosen in enumerate(rows):
        result[place, : len(chosen)] = values[chosen]
    return result


def parts(data: Mapping[str, np.ndarray], held_out: bool) -> tuple[Part, Part, list, list]:
    """(training, measured, rows of their videos): standardised features by letter, and labels."""
    texts = {name: data[f"text_{name}"] for name in ("train", "test")}
    if TRANSCRIPTS.value:
        from huse_tf.features.minilm import MiniLM

        encoder = MiniLM()
        texts = {
            name: np.concatenate(
                [encoder(block).numpy() for block in np.array_split(data[f"transcript_{name}"], 40)]
            )
            for name in texts
        }
    names = ("train", "test")
    arrays = {
        n: {k: data[f"{NAMES[k]}_{n}"] if k != "T" else texts[n] for k in NAMES} for n in names
    }
    labels = {name: data[f"y_{name}"].astype(np.int32) for name in names}
    videos = {name: sequences(data[f"id_{name}"]) for name in names}
    if held_out:
        order = np.random.default_rng(0).permutation(len(videos["train"]))
        fifth = set(order[: len(order) // 5])
        measured = [rows for place, rows in enumerate(videos["train"]) if place in fifth]
        train = [rows for place, rows in enumerate(videos["train"]) if place not in fifth]
        arrays["test"], labels["test"] = arrays["train"], labels["train"]
    else:
        train, measured = videos["train"], videos["test"]
    rows = np.concatenate(train)
    for letter in NAMES:
        seen = arrays["train"][letter][rows]
        mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-6
        arrays = {
            n: {**arrays[n], letter: ((arrays[n][letter] - mean) / scale).clip(-5, 5).astype("f4")}
            for n in names
        }
    return (arrays["train"], labels["train"]), (arrays["test"], labels["test"]), train, measured


def arranged(part: Part, videos: Sequence[np.ndarray], kind: str, steps: int) -> Part:
    """The utterances of these videos, one by one or as padded sequences."""
    features, labels = part
    if kind == "utterance":
        rows = np.concatenate(videos)
        return {letter: values[rows] for letter, values in features.items()}, labels[rows]
    found = {k: padded(v, videos, steps, 0.0) for k, v in features.items()}
    return found, padded(labels, videos, steps, -1)


def network(kind: str, shape: tuple[int, ...]):
    """A modality's sub-network: from an utterance, or from the utterances of a video."""
    import keras

    inputs = keras.Input(shape)
    if kind == "sequence":
        x = keras.layers.Masking()(inputs)
        x = keras.layers.Dropout(0.3)(x)
        layer = keras.layers.GRU(UNITS.value // 2, return_sequences=True)
        x = keras.layers.Bidirectional(layer)(x)
    else:
        x = keras.layers.Dropout(0.3)(inputs)
        x = keras.layers.Dense(UNITS.value, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dropout(0.5)(x))


def measures(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and weighted F1 of the items that are there."""
    from sklearn.metrics import f1_score

    there = labels.reshape(-1) >= 0
    found, labels = found[there], labels.reshape(-1)[there]
    f1 = f1_score(labels, found, average="weighted")
    return {"accuracy": float(np.mean(found == labels)), "f1": float(f1)}


def trial(train: Part, test: Part, kind: str, letters: str, seed: int) -> dict:
    """Accuracy, F1 and contributions after the last epoch, and the best accuracy of any epoch."""
    import keras

    from huse_tf import keys
    from huse_tf.jobs.train_fused import accuracy, outputs_of, train_fused

    keras.utils.set_random_seed(seed)
    features, other = ({k: part[0][k] for k in letters} for part in (train, test))
    networks = {k: network(kind, features[k].shape[1:]) for k in letters}
    accuracies: list[float] = []
    model, thetas = train_fused(
        networks,
        features,
        train[1],
        2,
        penalty=PENALTY.value,
        learning_rate=2e-3,
        epochs=EPOCHS.value,
        batch_size=BATCHES[kind],
        seed=seed,
        after_epoch=lambda epoch, model: accuracies.append(accuracy(model, other, test[1])),
    )
    found = outputs_of(model, other)[keys.FUSED_LOGITS].argmax(axis=1)
    theta = {f"theta/{k}": float(share) for k, share in zip(letters, thetas[-1], strict=True)}
    best = {
        "best_epoch_accuracy": max(accuracies),
        "best_epoch": accuracies.index(max(accuracies)) + 1,
    }
    return {**measures(found, test[1]), **best, **theta}


def regression(train: Part, test: Part, letters: str) -> dict:
    """Logistic regression on the utterances' features side by side: the highest of 7 strengths."""
    from sklearn.linear_model import LogisticRegression

    x, other = (np.hstack([part[0][k] for k in letters]) for part in (train, test))
    found = []
    for strength in 10.0 ** np.arange(-4, 3):
        model = LogisticRegression(C=strength, max_iter=500).fit(x, train[1])
        found.append(measures(model.predict(other), test[1]))
    return max(found, key=lambda each: each["accuracy"])


def main(arguments: Sequence[str]) -> None:
    if len(arguments) > 1:
        raise app.UsageError(f"Settings are given as --NAME=VALUE. Received: {arguments[1:]}.")
    data = dict(np.load(DATA.value, allow_pickle=False))
    train, test, seen, measured = parts(data, HELD_OUT.value)
    steps = max(map(len, [*seen, *measured]))
    settings = {name: flag.value for name, flag in (("epochs", EPOCHS), ("units", UNITS))}
    settings |= {"penalty": PENALTY.value, "transcripts": TRANSCRIPTS.value}
    settings |= {"held_out": HELD_OUT.value}
    name = "mosi_transcripts" if TRANSCRIPTS.value else "mosi"
    results = Results(OUTPUT.value, name, sys.argv, settings)
    flat = [arranged(train, seen, "utterance", 0), arranged(test, measured, "utterance", 0)]
    for letters in SUBSETS.value:
        row = {"method": "logistic regression", "subset": letters, "seed": 0}
        if not results.has(**row):
            results.add(**row, **regression(*flat, letters))
    for seed in map(int, SEEDS.value):
        for kind in MODELS.value:
            pair = [arranged(train, seen, kind, steps), arranged(test, measured, kind, steps)]
            for letters in SUBSETS.value:
                row = {"method": kind, "subset": letters, "seed": seed}
                if not results.has(**row):
                    results.add(**row, **trial(*pair, kind, letters, seed))


if __name__ == "__main__":
    app.run(main)
