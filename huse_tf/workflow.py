"""The whole job, step by step: what the commands do, for use from Python."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import pathlib
import platform
import time
from collections.abc import Mapping

import keras
import tensorflow as tf
from absl import logging

import huse_tf
from huse_tf import config as configs
from huse_tf import dataset as datasets
from huse_tf import files, keys
from huse_tf.config import Config, DataConfig, ExportConfig
from huse_tf.data.taxonomy import Taxonomy
from huse_tf.errors import UserError
from huse_tf.evaluation.measure import measure, predict
from huse_tf.evaluation.report import write_report
from huse_tf.evaluation.summary import summary_table
from huse_tf.features.encoder import Encoder
from huse_tf.reporting import make_report
from huse_tf.serving.export import export_model
from huse_tf.serving.versions import next_version
from huse_tf.training.loop import fit, read_history
from huse_tf.training.trainer import Trainer

METRICS = "metrics.json"
MODEL = "model.keras"

# Settings that may differ when a run goes on: none of them changes the model.
_FREE = {"run_dir", "cache_dir", "encoder_batch_size", "checkpoint_every_steps"}
_UNBOUND = ("evaluation", "export")


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        metrics: of the test items, by metric path.
        report: the HTML page.
        export: folder of the exported model, or None.
        seconds: how long it took.
    """

    metrics: Mapping[str, float]
    report: pathlib.Path
    export: pathlib.Path | None
    seconds: float

    def summary(self) -> str:
        """A short table of results, then where things lie."""
        lines = [summary_table(self.metrics), "", f"Report  {self.report}"]
        if self.export is not None:
            lines.append(f"Export  {self.export}")
        return "\n".join([*lines, f"Took    {self.seconds:.0f} s"])


def train_run(config: Config) -> Result:
    """Prepares the data, trains, evaluates on the test side, reports and exports.

    A run that lies unfinished in `config.training.run_dir` goes on where it stood.

    Raises:
        UserError: for whatever the user can mend; `training.loop.Stopped` after an orderly stop.
    """
    began = time.monotonic()
    folder, dataset, model = train_model(config)
    result = _evaluate(model, dataset, config, folder, folder, keys.TEST)
    export = export_run(folder, config.export)
    return dataclasses.replace(result, export=export, seconds=time.monotonic() - began)


def train_model(config: Config) -> tuple[pathlib.Path, datasets.Dataset, keras.Model]:
    """Prepares the data and trains; returns the run's folder, the data and the best model."""
    # Equal seeds give equal weights only with ops that add up in a fixed order.
    tf.config.experimental.enable_op_determinism()
    _check_sides(config.data)
    folder = _run_folder(config)
    dataset = datasets.prepare(config, folder)
    configs.save(config, folder)
    files.write_json(folder / "versions.json", versions())
    _log_data(dataset)

    def build() -> Trainer:
        method = config.method
        return Trainer(method.build_model(dataset.spec), method.build_objective(dataset.spec))

    def validate(model: keras.Model) -> dict[str, float]:
        return measure_side(model, dataset, config, keys.VALIDATION)[0]

    model = fit(build, dataset.side(keys.TRAIN)[1], validate, config.training, folder)
    figures, _ = measure_side(model, dataset, config, keys.VALIDATION)
    files.write_json(folder / METRICS, {keys.VALIDATION: figures})
    return folder, dataset, model


def measure_side(
    model: keras.Model,
    dataset: datasets.Dataset,
    config: Config,
    side: str,
    fusion_weight: float | None = None,
) -> tuple[dict[str, float], dict[str, str]]:
    """The figures of one side of a dataset; see `evaluation.measure.measure`."""
    items, features = dataset.side(side)
    predictions = predict(model, features)
    return measure(predictions, items, dataset.taxonomy, config.evaluation, fusion_weight)


def evaluate_run(
    folder: pathlib.Path | str,
    config: Config,
    *,
    split: str = keys.TEST,
    other_catalogue: bool = False,
    output: pathlib.Path | str | None = None,
) -> Result:
    """Measures the run in `folder`, and writes `metrics.json` and `report.html` into `output`.

    Args:
        folder: of a trained run.
        config: its settings, perhaps with other cut-offs or another catalogue.
        split: which side of the run's own split.
        other_catalogue: whether `config` names another catalogue, all of which is to be measured.
        output: where to write. Default: `folder`.
    """
    began = time.monotonic()
    folder = pathlib.Path(folder)
    output = pathlib.Path(output or folder)
    if other_catalogue and output.resolve() == folder.resolve():
        raise UserError(
            "The figures of another catalogue would replace the run's own. Expected --output=FOLDER."
        )
    model = _trained_model(folder)
    if other_catalogue:
        dataset = datasets.prepare_other(config, folder, output)
    else:
        dataset = datasets.prepare(config, folder)
    result = _evaluate(model, dataset, config, folder, output, split)
    return dataclasses.replace(result, seconds=time.monotonic() - began)


def export_run(folder: pathlib.Path | str, config: ExportConfig) -> pathlib.Path:
    """Exports the run in `folder`; returns the folder of the new version."""
    folder = pathlib.Path(folder)
    model = _trained_model(folder)
    run = configs.load(folder)
    encoders = datasets.Encoders.of_run(run.features, folder)
    metrics = files.read_json(folder / METRICS)
    home = pathlib.Path(config.export_dir) / (config.export_name or folder.resolve().name)
    version = config.export_version or next_version(home)
    return export_model(
        model,
        encoders.image if isinstance(encoders.image, Encoder) else None,
        encoders.text if isinstance(encoders.text, Encoder) else None,
        Taxonomy.from_json((folder / datasets.TAXONOMY).read_text(encoding="utf-8")),
        metrics[keys.VALIDATION]["classification/fusion_weight"],
        home / str(version),
        {
            "config": files.read_json(folder / "config.json"),
            "data": files.read_json(folder / datasets.FINGERPRINT),
            "metrics": metrics.get(keys.TEST, {}),
        },
    )


def _check_sides(config: DataConfig) -> None:
    for name, use in (
        ("validation_fraction", "pick the best epoch"),
        ("test_fraction", "measure that model"),
    ):
        if not getattr(config, name):
            raise UserError(
                f"Training needs held-out items to {use}. Expected --{name} above 0. Received: 0."
            )


def _run_folder(config: Config) -> pathlib.Path:
    """The run's folder, which need not exist; refused if it holds a run with other settings.

    A run holds on to its settings from its first checkpoint on: before, nothing would be lost.
    """
    name = pathlib.Path(config.data.catalogue).resolve().parent.name
    folder = pathlib.Path(config.training.run_dir or pathlib.Path("runs") / name)
    if tf.train.latest_checkpoint(str(folder / "checkpoints")):
        before, now = _binding(configs.load(folder)), _binding(config)
        changed = [name for name in before | now if before.get(name) != now.get(name)]
        if changed:
            raise UserError(
                f"{str(folder)!r} holds a run with other settings: "
                + ", ".join(
                    f"{before.get(n, 'none')} there, {now.get(n, 'none')} here" for n in changed
                )
                + ". Give another --run_dir, or the settings of that run."
            )
    return folder


def _binding(config: Config) -> dict[str, str]:
    """Flag -> line of the flag file, of all settings that a run's result depends on."""
    sections = {f.name for part in _UNBOUND for f in dataclasses.fields(getattr(config, part))}
    lines = {line.partition("=")[0]: line for line in config.to_flagfile().splitlines()}
    return {
        flag: line
        for flag, line in lines.items()
        if flag.removeprefix("--") not in sections | _FREE
    }


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    packages = ("tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy", "pandas", "pillow")
    return {
        "huse_tf": huse_tf.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def _log_data(dataset: datasets.Dataset) -> None:
    counts = dataset.items["split"].value_counts()
    logging.info(
        "%d items of %d products in %d classes; %s.",
        len(dataset.items),
        dataset.items["product_id"].nunique(),
        len(dataset.taxonomy.classes),
        ", ".join(
            f"{side} {counts.get(side, 0)}" for side in (keys.TRAIN, keys.VALIDATION, keys.TEST)
        ),
    )
    if dataset.train_only:
        names = ", ".join(dataset.taxonomy.names[label] for label in dataset.train_only)
        logging.warning(
            "Too few separate products to hold any out, so no figure speaks of: %s.", names
        )


def _trained_model(folder: pathlib.Path) -> keras.Model:
    for name in (MODEL, METRICS):
        if not (folder / name).exists():
            raise UserError(
                f"The run in {str(folder)!r} is not trained to its end: it has no {name}. Train it "
                f"first: python -m huse_tf.train --flagfile={folder / 'flags.txt'}"
            )
    return keras.models.load_model(folder / MODEL, compile=False)


def _evaluate(
    model: keras.Model,
    dataset: datasets.Dataset,
    config: Config,
    folder: pathlib.Path,
    output: pathlib.Path,
    split: str,
) -> Result:
    """Measures one side with the fusion weight of the validation side, and writes all files."""
    began = time.monotonic()
    items, features = dataset.side(split)
    if items.empty:
        raise UserError(f"There are no {split} items to measure.")
    before = files.read_json(folder / METRICS)
    weight = before[keys.VALIDATION]["classification/fusion_weight"]
    predictions = predict(model, features)
    figures, undefined = measure(predictions, items, dataset.taxonomy, config.evaluation, weight)
    kept = (
        before
        if output.resolve() == folder.resolve()
        else {keys.VALIDATION: before[keys.VALIDATION]}
    )
    files.write_json(output / METRICS, {**kept, split: figures, "undefined": undefined})
    history = read_history(folder / "history.jsonl")
    report = make_report(
        config, dataset, items, predictions, figures, undefined, history, versions()
    )
    write_report(output / "report.html", report)
    return Result(figures, output / "report.html", None, time.monotonic() - began)
