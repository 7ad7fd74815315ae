"""Trains and measures several methods over several seeds on one catalogue, and writes tables of all.

The catalogue is read once, and images and texts are encoded once. A finished run is not trained again, so
an interrupted comparison resumes.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import pathlib
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from huse_tf import files, keys, seals
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.comparison_page import write_comparison_page
from huse_tf.evaluation.comparison_table import (
    LEADING,
    LEVEL,
    Outcome,
    all_metrics_csv,
    as_csv,
    as_markdown,
    tables,
)
from huse_tf.evaluation.frozen_features import NEIGHBOURS
from huse_tf.evaluation.frozen_rows import ROW, frozen_rows
from huse_tf.evaluation.per_query import QueryMetrics
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_training, run_dir, with_monitor
from huse_tf.jobs.measure import measure_queries, measure_split, run_fusion_weight
from huse_tf.jobs.run_data import Dataset, Reading, read
from huse_tf.jobs.runs import open_run, versions
from huse_tf.jobs.train import rehearse_run, train_model
from huse_tf.jobs.tune import Tuned
from huse_tf.jobs.tuned_methods import (
    CHOSEN,
    check_one_rule,
    chosen_csv,
    chosen_markdown,
    chosen_row,
    tune_methods,
    tuned_protocol,
)
from huse_tf.locks import locked
from huse_tf.models.two_tower import modality_model
from huse_tf.run_folder import RunFolder

# In the run's folder, by the split that was measured.
METRICS = "{split}_metrics.json"
QUERIES = "{split}_queries.npz"
MEASURED = (
    "{split}_measured.json"  # everything but the run that the metrics depend on: see `_measure_key`
)
_MEND = "The comparison measures that run again."
# Settings of the data that decide how items are split, and on nothing before that.
_SPLIT_SETTINGS = (
    "validation_fraction",
    "test_fraction",
    "folds",
    "fold",
    "split_seed",
    "near_duplicate_bits",
    "unseen_classes",
    "unseen_class_fraction",
)
_METRICS_VERSION = 4  # to be raised when other metrics are measured, or in another way
_SPEED_ROWS, _SPEED_REPEATS = 1024, 5


def compare_methods(
    methods: Mapping[str, Config],
    seeds: Sequence[int],
    folder: pathlib.Path,
    command: str = "",
    say: Callable[[str], None] = print,
    split: str = keys.TEST,
    tune: int = 0,
    keep: Mapping[str, Collection[str]] | None = None,
) -> list[Outcome]:
    """Trains and measures, and writes `comparison.md`, `.csv` and `.html` and `metrics.csv` after every run.

    For the validation split, which serves to choose settings, they are `comparison-validation.md` etc.

    Args:
        methods: name of the row -> settings.
        seeds: of the split, the initial weights and the order of training.
        folder: of the tables; a run folder for each method and seed lies under `runs/`.
        command: the command line that the tables name.
        say: is called with a line of progress before each run.
        split: name of the split that is measured, are measured, `keys.TEST` or `keys.VALIDATION`.
        tune: number of trials that each method gets first, on the validation items of the first seed's
            split (`jobs.tune`); all seeds are then trained with the settings of the best. 0: none.
        keep: name of the row -> settings that are not searched.

    Returns:
        The outcomes, seed by seed.

    Raises:
        UserError: settings of a run cannot be honoured, two runs would have one folder, or methods that
            are tuned choose by different metrics.
    """
    methods = {name: with_monitor(config) for name, config in methods.items()}
    _check_folders(methods)
    if tune:
        check_one_rule(methods)
    _check_runs(methods.values())
    readings = _Readings()
    tuned: dict[str, Tuned] = {}
    if tune:
        folders = {name: folder / "tuning" / _slug(name) for name in methods}
        tuned = tune_methods(methods, tune, seeds[0], folders, keep or {}, readings, say)
        methods = {name: found.config for name, found in tuned.items()}
    jobs = [(name, seed) for seed in seeds for name in methods]
    outcomes: list[Outcome] = []
    seconds: list[float] = []
    trained = False
    for number, (name, seed) in enumerate(jobs, start=1):
        config = _seeded(methods[name], seed, folder / "runs" / f"{_slug(name)}-seed-{seed}")
        left = (
            f"; about {np.mean(seconds) * (len(jobs) - number + 1) / 60:.0f} min left"
            if seconds
            else ""
        )
        say(f"[{number}/{len(jobs)}] {name}, seed {seed}{left}")
        began = time.monotonic()
        trained, metrics, queries = _run(config, readings, split)
        outcomes.append(Outcome(name, seed, metrics, queries))
        if trained:
            seconds.append(time.monotonic() - began)
            _write_tables(outcomes, methods, folder, command, split, tuned)
    if not trained:  # else the last run has just written them
        _write_tables(outcomes, methods, folder, command, split, tuned)
    return outcomes


def table_path(folder: pathlib.Path, split: str = keys.TEST) -> pathlib.Path:
    """The Markdown file of a comparison; its page and its CSV files are in the same folder."""
    return folder / ("comparison.md" if split == keys.TEST else f"comparison-{split}.md")


def finished(folder: pathlib.Path, names: Iterable[str], split: str = keys.TEST) -> list[Outcome]:
    """The stored outcomes of these methods in a comparison's folder; nothing is trained or loaded."""
    outcomes = []
    for name in names:
        pattern = f"{_slug(name)}-seed-*/{METRICS.format(split=split)}"
        for path in sorted((folder / "runs").glob(pattern)):
            seed = int(path.parent.name.rpartition("-")[2])
            queries = _read_queries(path.with_name(QUERIES.format(split=split)))
            outcomes.append(Outcome(name, seed, seals.read_json(path, _MEND), queries))
    return outcomes


def _seeded(config: Config, seed: int, folder: pathlib.Path) -> Config:
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, split_seed=seed),
        training=dataclasses.replace(config.training, seed=seed, run_dir=str(folder)),
        export=dataclasses.replace(config.export, refit="none"),  # nothing is exported
    )


def _slug(name: str) -> str:
    signed = re.sub(r"=-(?=[.\d])", "=minus", name)
    return re.sub(r"[^A-Za-z0-9.]+", "-", signed).strip("-")


def _check_folders(names: Iterable[str]) -> None:
    """Raises UserError for methods whose runs would have one folder."""
    taken: dict[str, str] = {}
    for name in names:
        other = taken.setdefault(_slug(name), name)
        if other != name:
            raise UserError(
                f"The runs of {other!r} and {name!r} would lie in one folder, {_slug(name)!r}. Expected "
                "--methods whose names differ in letters or digits. Compare them in two --output folders."
            )


def _check_runs(configs: Collection[Config]) -> None:
    """Raises UserError for settings of any run before the first one is trained."""
    for config in configs:
        check_training(config)
        if config.data.folds and not config.data.fold:
            raise UserError(
                "A comparison does not train folds by itself. Expected --fold too, the one to compare on. "
                f"Received: --folds={config.data.folds}. Add --fold, or leave --folds out."
            )
    encoders: dict[tuple[str, str], ItemEncoders] = {}
    for config in configs:
        names = config.features.image_encoder, config.features.text_encoder
        made = encoders.setdefault(names, ItemEncoders(config.features))
        rehearse_run(config, made)


class _Readings:
    """Reads the catalogue and its image features once for all runs with the same image encoder."""

    def __init__(self) -> None:
        self._by_key: dict[str, Reading] = {}

    def __call__(self, config: Config) -> Reading:
        data = {
            name: value
            for name, value in dataclasses.asdict(config.data).items()
            if name not in _SPLIT_SETTINGS
        }
        key = json.dumps([data, config.features.image_encoder], sort_keys=True)
        if key not in self._by_key:
            self._by_key[key] = read(config)
        return self._by_key[key]


def _run(
    config: Config, readings: _Readings, split: str
) -> tuple[bool, dict[str, float], dict[str, QueryMetrics]]:
    """(whether it was trained or measured now, its metrics, the values of its queries)."""
    with locked(run_dir(config), "--output"):
        run, key = open_run(config), _measure_key(config)
        kept = _kept(run.path, split, key)
        if kept is not None:
            return False, *kept
        keras.backend.clear_session()
        trained = train_model(config, reading=readings(config))
        metrics, queries = _measured(trained.model, trained.dataset, config, run, split)
        with (
            seals.replacing(run.path / QUERIES.format(split=split)) as path,
            path.open("wb") as file,
        ):
            np.savez_compressed(file, allow_pickle=False, **_as_arrays(queries))
        seals.write_json(run.path / METRICS.format(split=split), metrics)
        # Last, because it says that the other files are complete.
        seals.write_json(run.path / MEASURED.format(split=split), key)
        del trained
        gc.collect()
        return True, metrics, queries


def _kept(
    folder: pathlib.Path, split: str, key: Mapping[str, Any]
) -> tuple[dict[str, float], dict[str, QueryMetrics]] | None:
    """The stored metrics of a run; None if there are none, or if they were measured otherwise."""
    key_file = folder / MEASURED.format(split=split)
    if not key_file.exists():
        return None
    try:
        if seals.read_json(key_file, _MEND) != key:
            return None
        metrics = seals.read_json(folder / METRICS.format(split=split), _MEND)
        return metrics, _read_queries(folder / QUERIES.format(split=split))
    except seals.Damaged as error:
        logging.warning("%s", error)
        return None


def _measure_key(config: Config) -> dict[str, Any]:
    """What must be equal for stored metrics to be used again, beside the run's own settings.

    The catalogue is identified by its content if it is one local file, and assumed unchanged otherwise.
    """
    catalogue = pathlib.Path(config.data.catalogue)
    return {
        "metrics": _METRICS_VERSION,
        "evaluation": json.loads(json.dumps(dataclasses.asdict(config.evaluation))),
        "catalogue": files.sha256_file(catalogue) if catalogue.is_file() else "",
    }


def _measured(
    model: keras.Model, dataset: Dataset, config: Config, run: RunFolder, split: str
) -> tuple[dict[str, float], dict[str, QueryMetrics]]:
    weight = run_fusion_weight(run)
    measured = measure_split(model, dataset, config, split, weight)
    metrics, queries = measure_queries(measured, dataset)
    # Unseen classes are not looked at while settings are chosen.
    if split == keys.TEST and keys.UNSEEN in dataset.split_sizes:
        unseen = measure_split(model, dataset, config, keys.UNSEEN, weight)
        more, more_queries = measure_queries(unseen, dataset)
        metrics |= {f"unseen/{path}": value for path, value in more.items()}
        queries |= {f"unseen/{path}": value for path, value in more_queries.items()}
    metrics["cost/parameters"] = float(model.count_params())
    metrics["cost/training_seconds"] = run.read_json(run.timing)["seconds"]
    if config.method.embeds:
        for modality in (keys.IMAGE, keys.TEXT):
            rows = measured.features[keys.features(modality)]
            speed = _items_per_second(modality_model(model, modality), rows)
            metrics[f"cost/{modality}s_per_second"] = speed
    return metrics, queries


def _items_per_second(model: keras.Model, features: Any) -> float:
    """Items per second from features to embeddings, without the encoder: batches of 1024, median of five."""
    rows = np.resize(np.arange(len(features)), _SPEED_ROWS)
    batch = tf.constant(np.asarray(features[rows]))
    forward = tf.function(lambda values: model(values, training=False))
    forward(batch)  # traces
    times = []
    for _ in range(_SPEED_REPEATS):
        began = time.perf_counter()
        forward(batch)[0].numpy()
        times.append(time.perf_counter() - began)
    return float(_SPEED_ROWS / np.median(times))


def _as_arrays(queries: Mapping[str, QueryMetrics]) -> dict[str, np.ndarray]:
    return {
        f"{part}|{path}": getattr(values, part)
        for path, values in queries.items()
        for part in ("products", "values")
    }


def _read_queries(path: pathlib.Path) -> dict[str, QueryMetrics]:
    with seals.reading(path, _MEND), np.load(path, allow_pickle=False) as arrays:
        paths = [name.partition("|")[2] for name in arrays if name.startswith("values|")]
        return {
            each: QueryMetrics(arrays[f"products|{each}"], arrays[f"values|{each}"])
            for each in paths
        }


def _write_tables(
    outcomes: Sequence[Outcome],
    methods: Mapping[str, Config],
    folder: pathlib.Path,
    command: str,
    split: str,
    tuned: Mapping[str, Tuned],
) -> None:
    seeds = list(dict.fromkeys(outcome.seed for outcome in outcomes))
    frozen = frozen_rows(outcomes, {name: _reads(config) for name, config in methods.items()})
    note = protocol(seeds, split, bool(frozen))
    chosen = [chosen_row(name, found) for name, found in tuned.items()]
    if tuned:
        note += tuned_protocol(tuned, seeds[0])
        files.write_text(folder / CHOSEN, chosen_csv(chosen))
    table = table_path(folder, split)
    head = f"Written by `{command}`.\n{note}"
    found = tables([*outcomes, *frozen])  # once: each draws thousands of resamples
    choices = f"{chosen_markdown(chosen)}\n" if chosen else ""
    files.write_text(table, f"{head}\n\n{choices}{as_markdown(found)}")
    files.write_text(table.with_suffix(".csv"), as_csv(found))
    files.write_text(
        table.with_name(table.name.replace("comparison", "metrics")).with_suffix(".csv"),
        all_metrics_csv(outcomes),
    )
    write_comparison_page(
        table.with_suffix(".html"),
        outcomes,
        found,
        command=command,
        note=note,
        chosen=chosen,
        settings={name: config.to_flagfile() for name, config in methods.items()},
        versions=versions(),
    )


def _reads(config: Config) -> str:
    """Everything that a method's frozen features depend on but the seed, which splits the items."""
    features = {name: getattr(config.features, name) for name in ("image_encoder", "text_encoder")}
    return json.dumps([dataclasses.asdict(config.data), features], sort_keys=True)


def protocol(seeds: Iterable[int], split: str = keys.TEST, frozen: bool = False) -> str:
    """How the runs were measured, and how to read the tables.

    Args:
        seeds: of the runs.
        split: that was measured.
        frozen: whether the tables have rows of frozen features.
    """
    named = ", ".join(map(str, seeds))
    rows = (
        f" {ROW.capitalize()}: the cosine of the encoders' features, scaled to unit norm, nothing learned; "
        f"accuracy by the vote of the {NEIGHBOURS} nearest training items."
    )
    return (
        f"{split.capitalize()} items of the splits with seeds {named}; mean ± standard deviation over "
        "the seeds. Bold: the best mean of a column. ≈: not significantly behind the best, "
        f"p ≥ {LEVEL} by a paired bootstrap over the queries of all seeds, which draws whole products, corrected "
        "by Holm for the number of methods that a column compares with its best. Each method's epoch and fusion weight were chosen on "
        "the validation split. By class, relevant candidates are other products of the query's class; the "
        "query's own product is excluded. Own product: the candidates are all images, or all texts, of the "
        "split; their number, the mean over the seeds, stands beside. Of more than "
        f"{LEADING} methods, a table shows first the {LEADING} with the highest mean over its columns."
        + (rows if frozen else "")
    )
