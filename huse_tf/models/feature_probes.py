"""Logistic regressions on the features of the image, of the text, and of both, each solved for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    inputs, outputs = feature_inputs(spec), {}
    logits = feature_classifiers(spec, inputs)
    for name in (keys.IMAGE, keys.TEXT):
        probabilities = keras.layers.Activation(
            "sigmoid" if spec.multi_label else "softmax", name=f"{name}_posterior"
        )(logits[name])
        normalize = keras.layers.UnitNormalization(name=f"{name}_normalization")
        outputs[keys.embedding(name)] = normalize(probabilities)
        outputs[keys.logits(name)] = logits[name]
    outputs[keys.FUSED_LOGITS] = logits[BOTH]
    return keras.Model(inputs, outputs, name="feature_probes")


def feature_classifiers(
    spec: DataSpec, inputs: Mapping[str, keras.KerasTensor], image_power: float = 1.0
) -> dict[str, keras.KerasTensor]:
    """Class scores [batch, K] of linear classifiers on features of unit norm, by column.

    Args:
        spec: of the data.
        inputs: from `feature_inputs`.
        image_power: signed power of the image features, as for `tower_front`.
    """
    rows, logits = [], {}
    for name in (keys.IMAGE, keys.TEXT):
        x = inputs[keys.features(name)]
        if name == keys.IMAGE and image_power != 1.0:
            x = keras.ops.sign(x) * keras.ops.power(keras.ops.absolute(x), image_power)
        unit = keras.layers.UnitNormalization(name=f"{name}_unit")(x)
        logits[name] = _classifier(layer_name(name), spec)(unit)
        rows.append(unit)
    both = keras.layers.Concatenate(name="features")(rows)
    logits[BOTH] = _classifier(layer_name(BOTH), spec)(both)
    return logits


def set_feature_probes(
    model: keras.Model,
    features: Mapping[str, Any],
    c: Mapping[str, float],
    image_power: float = 1.0,
) -> None:
    """Solves for the classifiers and sets them.

    Args:
        model: with the layers of `feature_classifiers`.
        features: the training items by key, with masks, weights and labels. A classifier learns from the
            items that have what it reads.
        c: scikit-learn's C of each of `COLUMNS`.
        image_power: as for `feature_classifiers`.
    """
    for column in COLUMNS:
        layer = model.get_layer(layer_name(column))
        rows, labels, weights = _column(features, column, image_power)
        kernel, bias = logistic_regression(
            rows, labels, weights, layer.units, c[column], _MOST_STEPS
        )
        layer.set_weights([kernel, bias])


def choose_c(
    train: Mapping[str, Any],
    validation: Mapping[str, Any],
    column: str,
    num_classes: int,
    image_power: float = 1.0,
    grid: Sequence[float] = GRID,
) -> float:
    """The C of a grid with the highest accuracy on validation items, which count by their weights.

    The values are tried from the smallest on, until three in a row are no better than the best. Of more
    than `MOST_ROWS` training items as many are used, evenly spaced. Ties go to the highest likelihood of
    the classes. With several classes an item, the class with the highest score is right if the item has it.

    Args:
        train, validation: items by key, with masks, weights and labels.
        column: of `COLUMNS`.
        num_classes: K.
        image_power: as for `feature_classifiers`.
        grid: values to try, ascending.

    Returns:
        C; `USUAL_C` if no training item or no validation item has what the column needs.
    """
    rows, labels, weights = _column(train, column, image_power)
    held_rows, held_labels, held_weights = _column(validation, column, image_power)
    if not len(rows) or not len(held_rows):
        return USUAL_C
    # Each chosen item stands for as many as are left out, so that C means the same on all items.
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)
    weights = weights[chosen] * (len(rows) / len(chosen))
    rows, labels = rows[chosen], labels[chosen]

    start = None  # the solution for the C before is near

    def merit(c: float) -> tuple[float, float]:
        nonlocal start
        start = kernel, bias = logistic_regression(
            rows, labels, weights, num_classes, c, _MOST_STEPS, start
        )
        hits, likelihoods = _scored(held_rows @ kernel + bias, held_labels)
        return (
            # Rounded, so that values which differ by the order of summation alone are a tie.
            round(float(np.average(hits, weights=held_weights)), 9),
            float(np.average(likelihoods, weights=held_weights)),
        )

    best, highest, worse = grid[0], merit(grid[0]), 0
    for c in grid[1:]:
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


def _column(
    features: Mapping[str, Any], column: str, image_power: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([n, dim] rows of unit norm, labels, [n] weights) of the items that have what the column needs."""
    needed = (keys.IMAGE, keys.TEXT) if column == BOTH else (column,)
    weights = np.asarray(features[keys.WEIGHT], np.float64)
    for modality in needed:
        weights = weights * features[keys.mask(modality)]
    there = weights > 0
    powers = {keys.IMAGE: image_power, keys.TEXT: 1.0}
    rows = [_unit(np.asarray(features[keys.features(n)][there]), powers[n]) for n in needed]
    labels = features[keys.LABELS if keys.LABELS in features else keys.LABEL][there]
    return np.concatenate(rows, axis=1), labels, weights[there]


def _unit(rows: np.ndarray, power: float) -> np.ndarray:
    rows = rows.astype(np.float64)
    if power != 1.0:
        rows = np.sign(rows) * np.abs(rows) ** power
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _classifier(name: str, spec: DataSpec) -> keras.layers.Dense:
    return keras.layers.Dense(spec.num_classes, trainable=False, name=name)


def layer_name(column: str) -> str:
    """The name of a column's classifier."""
    return FEATURE_FUSION if column == BOTH else f"{column}_regression"
