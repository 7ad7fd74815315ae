"""Logistic regressions on the features of the image, of the text, and of both, each solved for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from huse_tf import keys
from huse_tf.models.logistic_regression import logistic_regression
from huse_tf.models.two_tower import FEATURE_FUSION, feature_inputs
from huse_tf.spec import DataSpec

BOTH = "both"
COLUMNS = (keys.IMAGE, keys.TEXT, BOTH)  # what a regression reads
GRID = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
USUAL_C = 10.0  # where no validation item has what a column needs
MOST_ROWS = 10_000  # to choose C on; the final regression reads all items
_WORSE = 3  # values of C in a row, after which larger ones, which take longest, are not tried
_MOST_STEPS = 1000


def feature_probe_model(spec: DataSpec) -> keras.Model:
    """A model of three linear classifiers on features of unit norm, which gradients do not change.

    Returns:
        A model with the inputs and outputs of `posterior_model`, D = K, and fused logits of its own:
        those of the concatenated features.
    """
    inputs = feature_inputs(spec)
    rows, outputs = [], {}
    for name in (keys.IMAGE, keys.TEXT):
        unit = keras.layers.UnitNormalization(name=f"{name}_unit")(inputs[keys.features(name)])
        logits = _classifier(_layer_name(name), spec)(unit)
        probabilities = keras.layers.Activation(
            "sigmoid" if spec.multi_label else "softmax", name=f"{name}_posterior"
        )(logits)
        normalize = keras.layers.UnitNormalization(name=f"{name}_normalization")
        outputs[keys.embedding(name)] = normalize(probabilities)
        outputs[keys.logits(name)] = logits
        rows.append(unit)
    both = keras.layers.Concatenate(name="features")(rows)
    outputs[keys.FUSED_LOGITS] = _classifier(FEATURE_FUSION, spec)(both)
    return keras.Model(inputs, outputs, name="feature_probes")


def set_feature_probes(
    model: keras.Model, features: Mapping[str, Any], c: Mapping[str, float]
) -> None:
    """Solves for the classifiers and sets them.

    Args:
        model: from `feature_probe_model`.
        features: the training items by key, with masks, weights and labels. A classifier learns from the
            items that have what it reads.
        c: scikit-learn's C of each of `COLUMNS`.
    """
    for column in COLUMNS:
        layer = model.get_layer(_layer_name(column))
        rows, labels, weights = _column(features, column)
        kernel, bias = logistic_regression(
            rows, labels, weights, layer.units, c[column], _MOST_STEPS
        )
        layer.set_weights([kernel, bias])


def choose_c(
    train: Mapping[str, Any], validation: Mapping[str, Any], column: str, num_classes: int
) -> float:
    """The C of `GRID` with the highest accuracy on validation items, which count by their weights.

    The values are tried from the smallest on, until three in a row are no better than the best. Of more
    than `MOST_ROWS` training items as many are used, evenly spaced. Ties go to the highest likelihood of
    the classes. With several classes an item, the class with the highest score is right if the item has it.

    Args:
        train, validation: items by key, with masks, weights and labels.
        column: of `COLUMNS`.
        num_classes: K.

    Returns:
        C; `USUAL_C` if no training item or no validation item has what the column needs.
    """
    rows, labels, weights = _column(train, column)
    held_rows, held_labels, held_weights = _column(validation, column)
    if not len(rows) or not len(held_rows):
        return USUAL_C
    # Each chosen item stands for as many as are left out, so that C means the same on all items.
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)
    weights = weights[chosen] * (len(rows) / len(chosen))
    rows, labels = rows[chosen], labels[chosen]

    def merit(c: float) -> tuple[float, float]:
        kernel, bias = logistic_regression(rows, labels, weights, num_classes, c, _MOST_STEPS)
        hits, likelihoods = _scored(held_rows @ kernel + bias, held_labels)
        return (
            # Rounded, so that values which differ by the order of summation alone are a tie.
            round(float(np.average(hits, weights=held_weights)), 9),
            float(np.average(likelihoods, weights=held_weights)),
        )

    best, highest, worse = GRID[0], merit(GRID[0]), 0
    for c in GRID[1:]:
        found = merit(c)
        best, highest, worse = (c, found, 0) if found > highest else (best, highest, worse + 1)
        if worse == _WORSE:
            break
    return best


def _scored(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([n] bool whether the best class is right, [n] log-likelihood of the true classes)."""
    best, rows = logits.argmax(axis=1), np.arange(len(logits))
    if labels.ndim == 1:
        likelihoods = logits[rows, labels] - np.logaddexp.reduce(logits, axis=1)
        return best == labels, likelihoods
    signs = np.where(labels > 0, 1.0, -1.0)
    return labels[rows, best] > 0, -np.logaddexp(0.0, -signs * logits).sum(axis=1)


def _column(features: Mapping[str, Any], column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([n, dim] rows of unit norm, labels, [n] weights) of the items that have what the column needs."""
    needed = (keys.IMAGE, keys.TEXT) if column == BOTH else (column,)
    weights = np.asarray(features[keys.WEIGHT], np.float64)
    for modality in needed:
        weights = weights * features[keys.mask(modality)]
    there = weights > 0
    rows = [_unit(np.asarray(features[keys.features(name)][there])) for name in needed]
    labels = features[keys.LABELS if keys.LABELS in features else keys.LABEL][there]
    return np.concatenate(rows, axis=1), labels, weights[there]


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _classifier(name: str, spec: DataSpec) -> keras.layers.Dense:
    return keras.layers.Dense(spec.num_classes, trainable=False, name=name)


def _layer_name(column: str) -> str:
    return FEATURE_FUSION if column == BOTH else f"{column}_regression"
