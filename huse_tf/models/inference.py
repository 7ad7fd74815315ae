"""A model's outputs on many items, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

_ITEMS_A_BATCH = 1024


def run_model(
    model: keras.Model, features: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> dict[str, np.ndarray]:
    """The named outputs [items, ...] for features [items, ...], dropout off."""
    part = keras.Model(model.input, {key: model.output[key] for key in outputs})
    count = len(features[next(iter(model.input))])
    batches = []
    for start in range(0, count, _ITEMS_A_BATCH):
        rows = slice(start, start + _ITEMS_A_BATCH)
        batches.append(part({key: features[key][rows] for key in model.input}, training=False))
    return {key: np.concatenate([batch[key] for batch in batches]) for key in outputs}
