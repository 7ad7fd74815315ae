"""Exports a trained run as a version of a served model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from huse_tf import config as configs
from huse_tf import files, keys
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.evaluation.pairs import scores_pairs
from huse_tf.evaluation.serving_choices import ServingChoices
from huse_tf.evaluation.slices import recall_intervals
from huse_tf.features.encoder import Encoder
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.features.licences import Licence, licences_of
from huse_tf.jobs.checks import check_export, check_run_encoders, export_homes
from huse_tf.jobs.export_sample import training_sample
from huse_tf.jobs.folds import read_folds
from huse_tf.jobs.refit import refit_sentence
from huse_tf.jobs.run_data import run_taxonomy
from huse_tf.jobs.runs import refit_model, trained_model, with_chosen
from huse_tf.jobs.serving_choices import calibration_of, pooling_of, read_choices
from huse_tf.run_folder import RunFolder
from huse_tf.sections import ExportConfig
from huse_tf.serving.artefact import MODEL_CARD, after_the_model
from huse_tf.serving.beside import SAMPLE_SIZE
from huse_tf.serving.c_library import find_library
from huse_tf.serving.check import sentence
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported, ProductPooling
from huse_tf.serving.formats import (
    LITERT_INT8,
    ONE_MODALITY,
    SAVED_MODEL,
    one_modality_homes,
)
from huse_tf.serving.pair_scorer import export_pair_scorer
from huse_tf.serving.versions import alone_in, next_version
from huse_tf.settings import flat


def export_run(
    folder: str | os.PathLike[str], config: ExportConfig, *, again: bool = True
) -> pathlib.Path:
    """Exports a trained run as a new version.

    Args:
        folder: the run's folder.
        config: which model, name, place and version of the export, and whether to check it.
        again: whether to write a new version if the newest one holds this very model.

    Returns:
        The folder of the version: `export_dir/export_name/VERSION`.

    Raises:
        UserError: the run is not trained (or not on all items, for `config.refit`), the version exists,
            or a server could not answer from it.

    Examples:
        >>> import huse_tf
        >>> from huse_tf.sections import ExportConfig
        >>> huse_tf.export_run("runs/home_goods", ExportConfig())  # doctest: +SKIP
        PosixPath('saved_models/home_goods/1')
    """
    run = RunFolder(folder)
    settings = configs.load(run)
    check_export(config, run.path, settings.method.embeds)
    check_run_encoders(settings.features)
    exported = dataclasses.replace(
        exported_run(run, config.refit, config.target_precision), data_license=config.data_license
    )
    checked = config.export_check and _can_check()
    homes = export_homes(config, run.path)
    with contextlib.ExitStack() as stack:
        for each in homes:  # concurrent exports get different versions
            stack.enter_context(alone_in(each))
        next_free = max(map(next_version, homes))
        newest = homes[0] / str(next_version(homes[0]) - 1)
        if not again and not config.export_version and _holds(newest, exported, config.formats):
            return newest
        version = homes[0] / str(config.export_version or next_free)
        if scores_pairs(exported.model):
            return export_pair_scorer(exported, version, checked=checked)
        sample = None
        if LITERT_INT8 in config.formats:
            sample = training_sample(settings, run, SAMPLE_SIZE)
        return export_model(
            exported, version, checked=checked, formats=config.formats, sample=sample
        )


def exported_run(
    run: RunFolder, refit: str = "none", target_precision: float = ExportConfig().target_precision
) -> Exported:
    """A trained model of a run, with its encoders, its classes and its card.

    Args:
        run: its folder.
        refit: "all": the model that was trained again on all items; "none": the measured one.
        target_precision: of the answers that are accepted, in (0, 1].

    Raises:
        UserError: the run is not trained, or one of its files is damaged.
    """
    settings = with_chosen(configs.load(run), run)
    again = refit == "all"
    model = refit_model(run) if again else trained_model(run)
    encoders = ItemEncoders.of_run(settings.features, run)
    metrics, folds = run.read_json(run.metrics), read_folds(run) if again else None
    weight = metrics[keys.VALIDATION].get("classification/fusion_weight")
    if folds is not None:
        weight = folds["fusion_weight"]
    choices = _serving_choices(run, folds)
    slices, limit = metrics.get("slices", {}).get(keys.TEST, []), encoders.count_tokens([""])
    return Exported(
        model,
        encoders.image if isinstance(encoders.image, Encoder) else None,
        encoders.text if isinstance(encoders.text, Encoder) else None,
        run_taxonomy(run),
        weight,
        settings.data.multi_label,
        calibration_of(choices, target_precision) if choices else None,
        pooling_of(choices) if choices else ProductPooling(0.5),
        data_license=settings.export.data_license,
        licences=_licences(settings),
        prefixes=settings.method.prefixes,
        card={
            "model_sha256": files.sha256_file((run.refit if again else run).model),
            "config": json.loads(settings.to_json()),
            "data": run.read_json(run.fingerprint),
            "refit": run.refit.read_json(run.refit.trained_on) if again else None,
            "metrics": metrics.get(keys.TEST, {}),
            "intervals": recall_intervals(metrics.get(keys.TEST, {}), slices[0]["products"])
            if slices
            else {},
            "slices": slices,
            "text_tokens": None if limit is None else limit[1],
            "folds": None if folds is None else folds["metrics"],
        },
    )


def _licences(settings: Config) -> list[Licence]:
    """Of the weights that the encoders and the trained networks began with, each once."""
    method = flat(settings.method)
    specs = [
        settings.features.image_encoder,
        settings.features.text_encoder,
        *(str(method.get(name, "")) for name in ("image_backbone", "text_backbone")),
    ]
    return list(dict.fromkeys(each for spec in specs for each in licences_of(spec)))


def export_lines(version: pathlib.Path) -> list[str]:
    """The lines for the console: the folder of an export, its model, and the result of its check."""
    card = files.read_json(version / "card.json")
    lines = [f"Export  {version}", f"Card    {version / MODEL_CARD}"]
    if card.get("refit"):
        lines.append(f"Model   {refit_sentence(card['refit']['items'])}")
    serving = card["serving"]
    if ONE_MODALITY in serving.get("formats", []):
        lines += [
            f"Export  {home / version.name}" for home in one_modality_homes(version.parent).values()
        ]
    if serving.get("files"):
        lines.append(f"Files   {', '.join(serving['files'])}")
    lines += [f"Without {name}: {why}" for name, why in serving.get("not_written", {}).items()]
    return [*lines, f"Served  {sentence(serving.get('check'))}"]


def _serving_choices(run: RunFolder, folds: Mapping[str, Any] | None) -> list[ServingChoices]:
    """What validation chose: of every fold if there are any, else of the run; empty for older runs."""
    of_folds = [] if folds is None else folds.get("serving", [])
    if of_folds:
        return [ServingChoices.from_json(each) for each in of_folds]
    own = read_choices(run)
    return [] if own is None else [own]


def _can_check() -> bool:
    """Whether this machine has the C++ library. Without it exports are written unchecked."""
    try:
        find_library()
    except UserError as error:
        logging.warning("The export is not checked. %s", error)
        return False
    return True


def _holds(version: pathlib.Path, exported: Exported, formats: Sequence[str]) -> bool:
    """Whether the version was exported from this model, with this calibration and these formats."""
    try:
        known = files.read_json(version / "card.json")
        same = known["serving"].get("calibration") == after_the_model(exported)["calibration"]
        same &= set(known["serving"].get("formats", [SAVED_MODEL])) == set(formats)
    except (OSError, ValueError, AttributeError, LookupError, TypeError):  # missing or damaged
        return False
    return bool(same and known.get("model_sha256") == exported.card["model_sha256"])
