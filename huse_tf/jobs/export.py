"""Exporting a trained run as a version of a served model."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from absl import logging

from huse_tf import config as configs
from huse_tf import files, keys
from huse_tf.errors import UserError
from huse_tf.evaluation.pairs import scores_pairs
from huse_tf.features.encoder import Encoder
from huse_tf.features.item_encoders import ItemEncoders
from huse_tf.jobs.checks import check_export, check_run_encoders, export_home
from huse_tf.jobs.run_data import run_taxonomy
from huse_tf.jobs.runs import trained_model
from huse_tf.run_folder import RunFolder
from huse_tf.sections import ExportConfig
from huse_tf.serving.c_library import find_library
from huse_tf.serving.check import sentence
from huse_tf.serving.export import export_model
from huse_tf.serving.pair_scorer import export_pair_scorer
from huse_tf.serving.versions import alone_in, next_version


def export_run(
    folder: str | os.PathLike[str], config: ExportConfig, *, again: bool = True
) -> pathlib.Path:
    """Exports the run in `folder`.

    Args:
        folder: of a trained run.
        config: where to.
        again: whether to write another version where the newest one holds this very model.

    Returns:
        The folder of the version.

    Raises:
        UserError: the run is not trained, the version exists, or it would not answer in a server.
    """
    run = RunFolder(folder)
    settings = configs.load(run)
    check_export(config, run.path)
    check_run_encoders(settings.features)
    model = trained_model(run)
    encoders = ItemEncoders.of_run(settings.features, run)
    metrics = run.read_json(run.metrics)
    home = export_home(config, run.path)
    image = encoders.image if isinstance(encoders.image, Encoder) else None
    text = encoders.text if isinstance(encoders.text, Encoder) else None
    card = {
        "model_sha256": files.sha256_file(run.model),
        "config": run.read_json(run.config),
        "data": run.read_json(run.fingerprint),
        "metrics": metrics.get(keys.TEST, {}),
    }
    checked = config.export_check and _can_check()
    taxonomy = run_taxonomy(run)
    with alone_in(home):  # two exports at once get different versions
        newest = home / str(next_version(home) - 1)
        if not again and not config.export_version and _holds(newest, card["model_sha256"]):
            return newest
        version = home / str(config.export_version or next_version(home))
        if scores_pairs(model):
            return export_pair_scorer(model, image, text, version, card, checked)
        return export_model(
            model,
            image,
            text,
            taxonomy,
            metrics[keys.VALIDATION].get("classification/fusion_weight"),
            version,
            multi_label=settings.data.multi_label,
            card=card,
            checked=checked,
        )


def export_lines(version: pathlib.Path) -> list[str]:
    """Where an exported model lies, and whether it answers as a server would have it answer."""
    record = files.read_json(version / "card.json")["serving"].get("check")
    return [f"Export  {version}", f"Served  {sentence(record)}"]


def _can_check() -> bool:
    """Whether this machine has what the check needs; elsewhere exports are written without."""
    try:
        find_library()
    except UserError as error:
        logging.warning("The export is not checked. %s", error)
        return False
    return True


def _holds(version: pathlib.Path, model_sha256: Any) -> bool:
    card = version / "card.json"
    try:
        return files.read_json(card).get("model_sha256") == model_sha256
    except (OSError, ValueError, AttributeError):  # not there, or damaged
        return False
