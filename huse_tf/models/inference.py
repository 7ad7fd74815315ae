"""A model's outputs on many items, in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_ITEMS_A_BATCH = 1024
_IMAGES_A_BATCH = 128  # the activations of an image network are many times larger than its input


def run_model(
    model: keras.Model, features: Mapping[str, Any], chosen: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """All outputs [items, ...] by key for features [items, ...] by key, dropout off.

    Args:
        model: feature dict in, output dict out.
        features: with the model's inputs among them, arrays, or objects that are indexed like arrays.
        chosen: numbers of the items to run, if not all.
    """
    batches = []
    count = len(features[next(iter(model.input))] if chosen is None else chosen)
    has_images = any(len(tensor.shape) == 4 for tensor in model.input.values())
    size = _IMAGES_A_BATCH if has_images else _ITEMS_A_BATCH
    for start in range(0, count, size):
        batch = slice(start, start + size)
        rows = batch if chosen is None else chosen[batch]
        # Not `predict`: a model of several replicas would answer once for each.
        batches.append(model({key: features[key][rows] for key in model.input}, training=False))
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
