"""Sizes, answers and speed of the image model and the text model of a run in every runtime, as Markdown tables.

python benchmarks/runtimes.py --run_dir=runs/home_goods

Every runtime has one thread. Time is the CPU time of the process for a batch, the median of several rounds in
which the runtimes take turns; the ratio is to the SavedModel of the same Keras model in the same rounds, so below
1 is faster. Recall is own-product R@10 of the test items, with the images (or the texts) embedded by the runtime
and the other modality by TensorFlow. Needs `pip install -r requirements-runtimes.txt`.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import flags

from huse_tf.cli import command_line
from huse_tf.cli.quiet import import_tensorflow

flags.DEFINE_string("run_dir", None, "Folder of a trained run.", required=True)
flags.DEFINE_multi_integer("batch_size", [1, 32], "Inputs in a call.", lower_bound=1)
flags.DEFINE_integer("rounds", 7, "Rounds, each with some calls of every runtime.", lower_bound=1)

BASELINE = "TensorFlow SavedModel"
NAMES = {
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO",
    "litert": "LiteRT",
    "litert_int8": "LiteRT, int8",
}
TASKS = ("image_to_text", "text_to_image")
Answer = Callable[[np.ndarray], np.ndarray]


def main(values: flags.FlagValues) -> None:
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    import_tensorflow()
    run = Run(pathlib.Path(values.run_dir))
    for modality in run.forms:
        print(f"\n{modality}, {run.describe(modality)}\n")
        print("\n".join(table(run, modality, values.batch_size, values.rounds)), flush=True)


class Run:
    """A run, its encoders as Keras models, and its test items."""

    def __init__(self, folder: pathlib.Path) -> None:
        from huse_tf import config as configs
        from huse_tf import keys
        from huse_tf.evaluation.predictions import predict
        from huse_tf.jobs.export import exported_run
        from huse_tf.jobs.export_sample import training_sample
        from huse_tf.jobs.measure import run_fusion_weight
        from huse_tf.jobs.run_data import load_data
        from huse_tf.run_folder import RunFolder
        from huse_tf.serving.beside import SAMPLE_SIZE
        from huse_tf.serving.keras_files import forms

        run = RunFolder(folder)
        self.config, self.exported = configs.load(run), exported_run(run)
        self.forms, _ = forms(self.exported)
        dataset = load_data(self.config, run)
        self.items, features = dataset.split(keys.TEST)
        self.taxonomy, self.weight = dataset.taxonomy, run_fusion_weight(run)
        self.predictions = predict(self.exported.model, features)
        sample = training_sample(self.config, run, SAMPLE_SIZE)
        images = [pathlib.Path(path).read_bytes() for path in self.items["image_path"] if path]
        texts = [text for text in self.items["text"] if text]
        self.strings = {keys.IMAGE: images, keys.TEXT: texts}
        self.sample = sample.images

    def describe(self, modality: str) -> str:
        form = self.forms[modality]
        inputs = prepared(form, self.strings[modality])
        return f"{len(inputs)} test inputs of shape {inputs.shape[1:]}"

    def recall(self, modality: str, embedding: np.ndarray) -> dict[str, float]:
        """Own-product R@10 with these embeddings of the items that have the modality."""
        import dataclasses

        from huse_tf.evaluation.context import EvaluationContext
        from huse_tf.evaluation.measure import measure

        mine = self.predictions.of(modality)
        rows = np.array(mine.embedding)
        norms = np.linalg.norm(embedding, axis=1, keepdims=True)  # int8 misses 1 by a little
        rows[np.asarray(mine.mask, bool)] = embedding / norms
        changed = dataclasses.replace(mine, embedding=rows)
        predictions = dataclasses.replace(self.predictions, **{modality: changed})
        evaluation = dataclasses.replace(self.config.evaluation, precision_at=())
        context = EvaluationContext(self.items, self.taxonomy, evaluation, self.weight)
        metrics, _ = measure(predictions, context)
        return {task: metrics[f"{task}/item/recall_at_10"] for task in TASKS}


def prepared(form: Any, strings: list[Any]) -> np.ndarray:
    """Inputs of an encoder's Keras model; texts are padded to one length."""
    parts = [form.prepared(strings[i : i + 64]) for i in range(0, len(strings), 64)]
    if parts[0].ndim == 2:
        longest = max(part.shape[1] for part in parts)
        pad = form.tokenizer.pad
        widths = [((0, 0), (0, longest - part.shape[1])) for part in parts]
        parts = [
            np.pad(part, each, constant_values=pad)
            for part, each in zip(parts, widths, strict=True)
        ]
    return np.concatenate(parts)


def table(run: Run, modality: str, batch_sizes: list[int], rounds: int) -> list[str]:
    from huse_tf import keys
    from huse_tf.serving.keras_files import whole_model, with_named_output

    form = run.forms[modality]
    inputs = prepared(form, run.strings[modality])
    sample = form.prepared(run.sample) if modality == keys.IMAGE else inputs
    model = with_named_output(whole_model(run.exported, modality, form), modality)
    with tempfile.TemporaryDirectory() as scratch:
        answers, sizes = loaded(model, pathlib.Path(scratch), sample)
        found = {name: in_batches(answer, inputs) for name, answer in answers.items()}
        times = {size: timed(answers, inputs[:size], rounds) for size in batch_sizes}
    head = [
        "runtime",
        "MB",
        "largest difference",
        "mean cosine",
        *(f"R@10 {task}" for task in TASKS),
    ]
    head += [f"ms a call of {size} (ratio)" for size in batch_sizes]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for name, embedding in found.items():
        recall = run.recall(modality, embedding)
        cells = [name, f"{sizes[name] / 1e6:.1f}"]
        cells.append(f"{np.abs(embedding - found[BASELINE]).max():.1e}")
        cells.append(f"{(embedding * found[BASELINE]).sum(axis=1).mean():.4f}")
        cells += [f"{recall[task]:.3f}" for task in TASKS]
        for size in batch_sizes:
            spent = times[size]
            cells.append(f"{spent[name]:.1f} ({spent[name] / spent[BASELINE]:.2f})")
        lines.append(" | ".join(cells))
    return [f"| {line} |" for line in lines]


def loaded(
    model: Any, folder: pathlib.Path, sample: np.ndarray
) -> tuple[dict[str, Answer], dict[str, int]]:
    """(runtime -> function, runtime -> bytes on disk)."""
    import tensorflow as tf

    from huse_tf.serving.runtimes.answers import load
    from huse_tf.serving.runtimes.convert import convert

    model.export(str(folder / "saved_model"), verbose=False)
    served = tf.saved_model.load(str(folder / "saved_model"))
    (output,) = model.output
    sizes = {BASELINE: size_of(folder / "saved_model")}
    answers: dict[str, Answer] = {
        BASELINE: lambda inputs: served.serve(tf.constant(inputs))[output].numpy()
    }
    for form, name in NAMES.items():
        (folder / form).mkdir()
        path = convert(model, form, folder / form, sample)
        sizes[name], answers[name] = size_of(folder / form), load(path, threads=1)
    return answers, sizes


def size_of(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def in_batches(answer: Answer, inputs: np.ndarray, size: int = 16) -> np.ndarray:
    return np.concatenate([answer(inputs[i : i + size]) for i in range(0, len(inputs), size)])


def timed(answers: Mapping[str, Answer], inputs: np.ndarray, rounds: int) -> dict[str, float]:
    """Runtime -> milliseconds of CPU for a call, the median of the rounds after the first."""
    calls = max(1, 16 // len(inputs))
    spent: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(rounds + 1):
        for name, answer in answers.items():
            began = time.process_time()
            for _ in range(calls):
                answer(inputs)
            spent[name].append((time.process_time() - began) / calls * 1e3)
    return {name: statistics.median(each[1:]) for name, each in spent.items()}


if __name__ == "__main__":
    command_line.run(main)
