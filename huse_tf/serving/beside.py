"""Writes what `--formats` asks for into a version's folder, beside its SavedModel."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from huse_tf import keys
from huse_tf.features.keras_form import KerasForm
from huse_tf.serving.exported import Exported
from huse_tf.serving.formats import KERAS, RUNTIMES
from huse_tf.serving.keras_files import (
    NAMES,
    forms,
    whole_model,
    with_named_output,
    write_keras_files,
)
from huse_tf.serving.runtimes.checked import write_checked

SAMPLE_SIZE = 100  # training items from which int8 learns ranges

_TEXTS = ("a red chair", "Lamp of brass and glass, 40 cm high.", "")


class Sample(NamedTuple):
    """Training items.

    Attributes:
        images: encoded image files.
        texts: texts of items.
    """

    images: Sequence[bytes]
    texts: Sequence[str]


def write_formats(
    exported: Exported, formats: Sequence[str], folder: pathlib.Path, sample: Sample | None
) -> dict[str, Any]:
    """Writes the files.

    Args:
        exported: the model.
        formats: the value of --formats (`formats.check_formats`).
        folder: of the version, with the SavedModel.
        sample: training items, for int8.

    Returns:
        Entries of card.json, under `serving`: the formats; name of each file -> what its check found, or null;
        name of each model that was not written -> the reason.

    Raises:
        UserError: a runtime answers from its file otherwise than Keras.
    """
    entries: dict[str, Any] = {"formats": list(formats)}
    runtimes = [name for name in formats if name in RUNTIMES]
    if KERAS not in formats and not runtimes:
        return entries
    found, lacking = forms(exported)
    files: dict[str, Any] = {}
    if KERAS in formats:
        files |= dict.fromkeys(write_keras_files(exported, found, folder))
    for modality, form in found.items():
        if runtimes:
            model = with_named_output(whole_model(exported, modality, form), modality)
            inputs = _inputs(modality, form, sample)
            files |= write_checked(model, runtimes, folder, inputs)
    reasons = {NAMES[modality]: why for modality, why in lacking.items()}
    return {**entries, "files": files, "not_written": reasons}


def _inputs(modality: str, form: KerasForm, sample: Sample | None) -> np.ndarray:
    """Inputs of the model: of the sample, or a few of our own."""
    if sample is not None:
        strings = sample.images if modality == keys.IMAGE else sample.texts
        return form.prepared(strings)
    if modality == keys.TEXT:
        return form.prepared(_TEXTS)
    shape = (len(_TEXTS), *form.model.input.shape[1:])
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
