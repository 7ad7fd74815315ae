"""Several methods over several seeds on one catalogue: each trained, measured and kept, one table of all.

A catalogue is read once, and pictures and texts are encoded once. A finished run is not trained again,
so a comparison that was stopped goes on where it stood.
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
    LEVEL,
    Outcome,
    all_figures_csv,
    as_csv,
    as_markdown,
    tables,
)
from huse_tf.evaluation.frozen_features import NEIGHBOURS
from huse_tf.evaluation.frozen_rows import ROW, frozen_rows
from huse_tf.evaluation.per_query import QueryFigures
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_training, run_dir, with_monitor
from huse_tf.jobs.measure import measure_queries
from huse_tf.jobs.run_data import Dataset, Reading, read
from huse_tf.jobs.runs import open_run, versions
from huse_tf.jobs.train import rehearse_run, train_model
from huse_tf.locks import locked
from huse_tf.models.two_tower import modality_model
from huse_tf.run_folder import RunFolder

# In the run's folder, by the side that was measured.
FIGURES = "{side}_figures.json"
QUERIES = "{side}_queries.npz"
MEASURED = "{side}_measured.json"  # what the figures depend on beside the run: see `_measure_key`
_MEND = "The comparison measures that run again."
# Settings of the data that decide on the sides of the split, and on nothing before it.
_SPLIT_SETTINGS = (
    "validation_fraction",
    "test_fraction",
    "split_seed",
    "near_duplicate_bits",
    "unseen_classes",
    "unseen_class_fraction",
)
_FIGURES_VERSION = 4  # to be raised when more is measured, or otherwise
_SPEED_ROWS, _SPEED_REPEATS = 1024, 5


def compare_methods(
    methods: Mapping[str, Config],
    seeds: Sequence[int],
    folder: pathlib.Path,
    command: str = "",
    say: Callable[[str], None] = print,
    side: str = keys.TEST,
) -> list[Outcome]:
    """Trains and measures, and writes `comparison.md`, `.csv` and `.html` after every run.

    On the validation side, to choose settings by, they are `comparison-validation.md` and so on.

    Args:
        methods: settings by the name of the row.
        seeds: each draws another split, other weights and another order.
        folder: receives the tables, and a run folder for each method and seed under `runs/`.
        command: what the tables name as their maker.
        say: gets a line of progress before each run.
        side: which items are measured, `keys.TEST` or `keys.VALIDATION`.

    Returns:
        The outcomes, seed by seed.
    """
    methods = {name: with_monitor(config) for name, config in methods.items()}
    _check_folders(methods)
    _check_runs(methods.values())
    readings = _Readings()
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
        trained, figures, queries = _run(config, readings, side)
        outcomes.append(Outcome(name, seed, figures, queries))
        if trained:
            seconds.append(time.monotonic() - began)
            _write(outcomes, methods, folder, command, side)
    if not trained:  # else the last run has just written them
        _write(outcomes, methods, folder, command, side)
    return outcomes


def table_path(folder: pathlib.Path, side: str = keys.TEST) -> pathlib.Path:
    """Where the table of a comparison lies; its page and its CSV file lie beside it."""
    return folder / ("comparison.md" if side == keys.TEST else f"comparison-{side}.md")


def finished(folder: pathlib.Path, names: Iterable[str], side: str = keys.TEST) -> list[Outcome]:
    """What comparisons in this folder have measured of these methods, nothing trained or loaded."""
    outcomes = []
    for name in names:
        pattern = f"{_slug(name)}-seed-*/{FIGURES.format(side=side)}"
        for path in sorted((folder / "runs").glob(pattern)):
            seed = int(path.parent.name.rpartition("-")[2])
            queries = _read_queries(path.with_name(QUERIES.format(side=side)))
            outcomes.append(Outcome(name, seed, seals.read_json(path, _MEND), queries))
    return outcomes


def _seeded(config: Config, seed: int, folder: pathlib.Path) -> Config:
    return dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, split_seed=seed),
        training=dataclasses.replace(config.training, seed=seed, run_dir=str(folder)),
    )


def _slug(name: str) -> str:
    signed = re.sub(r"=-(?=[.\d])", "=minus", name)
    return re.sub(r"[^A-Za-z0-9.]+", "-", signed).strip("-")


def _check_folders(names: Iterable[str]) -> None:
    """Refuses methods whose runs would lie in one folder."""
    taken: dict[str, str] = {}
    for name in names:
        other = taken.setdefault(_slug(name), name)
        if other != name:
            raise UserError(
                f"The runs of {other!r} and {name!r} would lie in one folder, {_slug(name)!r}. Expected "
                "--methods that differ by more than signs. Compare them by two --output folders."
            )


def _check_runs(configs: Collection[Config]) -> None:
    """Refuses settings of any run before hours of training, not after."""
    for config in configs:
        check_training(config)
    encoders: dict[tuple[str, str], ItemEncoders] = {}
    for config in configs:
        names = config.features.image_encoder, config.features.text_encoder
        made = encoders.setdefault(names, ItemEncoders(config.features))
        rehearse_run(config, made)


class _Readings:
    """What runs share: the catalogue with its picture features, read once for each image encoder."""

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
    config: Config, readings: _Readings, side: str
) -> tuple[bool, dict[str, float], dict[str, QueryFigures]]:
    """(whether it had to be trained or measured, its figures, those of its queries)."""
    with locked(run_dir(config), "--output"):
        run, key = open_run(config), _measure_key(config)
        kept = _kept(run.path, side, key)
        if kept is not None:
            return False, *kept
        keras.backend.clear_session()
        trained = train_model(config, reading=readings(config))
        figures, queries = _measured(trained.model, trained.dataset, config, run, side)
        with seals.replacing(run.path / QUERIES.format(side=side)) as path, path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **_flat(queries))
        seals.write_json(run.path / FIGURES.format(side=side), figures)
        # Last, for it says that all is there.
        seals.write_json(run.path / MEASURED.format(side=side), key)
        del trained
        gc.collect()
        return True, figures, queries


def _kept(
    folder: pathlib.Path, side: str, key: Mapping[str, Any]
) -> tuple[dict[str, float], dict[str, QueryFigures]] | None:
    """The figures of a run that was measured as it would be now; None where it has to be measured."""
    key_file = folder / MEASURED.format(side=side)
    if not key_file.exists():
        return None
    try:
        if seals.read_json(key_file, _MEND) != key:
            return None
        figures = seals.read_json(folder / FIGURES.format(side=side), _MEND)
        return figures, _read_queries(folder / QUERIES.format(side=side))
    except seals.Damaged as error:
        logging.warning("%s", error)
        return None


def _measure_key(config: Config) -> dict[str, Any]:
    """What must be the same for kept figures to be used again; a run's settings are held on to anyway.

    Of a catalogue that is one local file its contents. One of another kind is taken to stay as it is.
    """
    catalogue = pathlib.Path(config.data.catalogue)
    return {
        "figures": _FIGURES_VERSION,
        "evaluation": json.loads(json.dumps(dataclasses.asdict(config.evaluation))),
        "catalogue": files.sha256_file(catalogue) if catalogue.is_file() else "",
    }


def _measured(
    model: keras.Model, dataset: Dataset, config: Config, run: RunFolder, side: str
) -> tuple[dict[str, float], dict[str, QueryFigures]]:
    weight = run.read_json(run.metrics)[keys.VALIDATION].get("classification/fusion_weight")
    figures, queries = measure_queries(model, dataset, config, side, weight)
    # What is unseen stays so while settings are chosen.
    if side == keys.TEST and keys.UNSEEN in dataset.split_sizes:
        more, asked = measure_queries(model, dataset, config, keys.UNSEEN, weight)
        figures |= {f"unseen/{path}": value for path, value in more.items()}
        queries |= {f"unseen/{path}": value for path, value in asked.items()}
    figures["cost/parameters"] = float(model.count_params())
    figures["cost/training_seconds"] = run.read_json(run.timing)["seconds"]
    if config.method.embeds:
        _, features = dataset.split(side)
        for modality in (keys.IMAGE, keys.TEXT):
            rows = features[f"{modality}_features"]
            speed = _items_per_second(modality_model(model, modality), rows)
            figures[f"cost/{modality}s_per_second"] = speed
    return figures, queries


def _items_per_second(model: keras.Model, features: Any) -> float:
    """Features to embeddings, in batches of 1024, the median of five; the encoder is not in it."""
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


def _flat(queries: Mapping[str, QueryFigures]) -> dict[str, np.ndarray]:
    return {
        f"{part}|{path}": getattr(figure, part)
        for path, figure in queries.items()
        for part in ("products", "values")
    }


def _read_queries(path: pathlib.Path) -> dict[str, QueryFigures]:
    with seals.reading(path, _MEND), np.load(path, allow_pickle=False) as arrays:
        paths = [name.partition("|")[2] for name in arrays if name.startswith("values|")]
        return {
            each: QueryFigures(arrays[f"products|{each}"], arrays[f"values|{each}"])
            for each in paths
        }


def _write(
    outcomes: Sequence[Outcome],
    methods: Mapping[str, Config],
    folder: pathlib.Path,
    command: str,
    side: str,
) -> None:
    seeds = list(dict.fromkeys(outcome.seed for outcome in outcomes))
    frozen = frozen_rows(outcomes, {name: _reads(config) for name, config in methods.items()})
    note = protocol(seeds, side, bool(frozen))
    table = table_path(folder, side)
    head = f"Written by `{command}`.\n{note}"
    found = tables([*outcomes, *frozen])  # once: each draws thousands of resamples
    files.write_text(table, f"{head}\n\n{as_markdown(found)}")
    files.write_text(table.with_suffix(".csv"), as_csv(found))
    files.write_text(
        table.with_name(table.name.replace("comparison", "figures")).with_suffix(".csv"),
        all_figures_csv(outcomes),
    )
    write_comparison_page(
        table.with_suffix(".html"),
        outcomes,
        found,
        command=command,
        note=note,
        settings={name: config.to_flagfile() for name, config in methods.items()},
        versions=versions(),
    )


def _reads(config: Config) -> str:
    """What a method's frozen features depend on beside the seed, which splits the items."""
    features = {name: getattr(config.features, name) for name in ("image_encoder", "text_encoder")}
    return json.dumps([dataclasses.asdict(config.data), features], sort_keys=True)


def protocol(seeds: Iterable[int], side: str = keys.TEST, frozen: bool = False) -> str:
    """How the tables came about, and how to read them; `frozen`: with the rows of frozen features."""
    named = ", ".join(map(str, seeds))
    rows = (
        f" {ROW.capitalize()}: the cosine of the encoders' features as the methods are given them, of unit "
        f"norm, nothing learnt; accuracy by the vote of the {NEIGHBOURS} nearest training items."
    )
    return (
        f"{side.capitalize()} items of the splits with seeds {named}; mean ± standard deviation over "
        "them. Bold is the best mean of a column; ≈ is not significantly behind it: "
        f"p ≥ {LEVEL} by a paired bootstrap over the queries of all seeds, products drawn whole, not "
        "corrected for the number of comparisons. Each method's epoch and fusion weight were chosen on "
        "the validation side. By class, what is to be found is another product of the query's class: "
        "the query's own product is no candidate." + (rows if frozen else "")
    )
