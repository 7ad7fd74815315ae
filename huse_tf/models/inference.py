"""A model's outputs on many items, in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_ITEMS_A_BATCH = 1024


def run_model(model: keras.Model, features: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """All outputs [items, ...] by key for features [items, ...] by key, dropout off.

    Args:
        model: feature dict in, output dict out.
        features: with the model's inputs among them, arrays or what looks like one.
    """
    batches = []
    for start in range(0, len(features[next(iter(model.input))]), _ITEMS_A_BATCH):
        rows = slice(start, start + _ITEMS_A_BATCH)
        # Not `predict`: a model of several replicas would answer once for each.
        batches.append(model({key: features[key][rows] for key in model.input}, training=False))
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
