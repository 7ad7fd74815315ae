"""Writes the files of other runtimes, and asks each runtime before the version appears."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from huse_tf.errors import UserError
from huse_tf.serving.formats import LITERT_INT8
from huse_tf.serving.runtimes.answers import load
from huse_tf.serving.runtimes.convert import convert

TOLERANCE = 1e-4  # of a coordinate of an embedding
_ROWS = 8  # that are asked for


def write_checked(
    model: keras.Model, formats: Sequence[str], folder: pathlib.Path, inputs: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Writes a model in formats of other runtimes and compares their answers with those of Keras.

    Args:
        model, folder: as for `convert`.
        formats: some of `formats.RUNTIMES`.
        inputs: [n, ...] inputs to ask for; int8 learns its ranges from all of them.

    Returns:
        Name of each file -> `largest_difference` of a coordinate; for int8 the `mean_cosine` and the
        `lowest_cosine` of its embeddings and those of Keras.

    Raises:
        UserError: a runtime differs by more than TOLERANCE, or int8 gives something else than unit vectors.
    """
    asked = inputs[:_ROWS]
    (expected,) = model.predict_on_batch(asked).values()
    found = {}
    for form in formats:
        path = convert(model, form, folder, inputs)
        received = load(path)(asked)
        found[path.name] = _compared(path, form, received, np.asarray(expected))
    return found


def _compared(
    path: pathlib.Path, form: str, received: np.ndarray, expected: np.ndarray
) -> dict[str, float]:
    if form == LITERT_INT8:
        cosines = np.sum(received * expected, axis=1)
        finding = {
            "mean_cosine": float(cosines.mean()),
            "lowest_cosine": float(cosines.min()),
        }
        right = bool(np.isfinite(received).all() and cosines.mean() > 0.5)
    else:
        difference = float(np.abs(received - expected).max())
        finding, right = {"largest_difference": difference}, difference <= TOLERANCE
    if not right:
        raise UserError(
            f"The file {path.name} answers otherwise than Keras. Expected embeddings equal to {TOLERANCE:.0e}, in "
            f"int8 a mean cosine above 0.5. Received: {finding}. Leave {form} out of --formats."
        )
    return finding
