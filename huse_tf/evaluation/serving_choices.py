"""What validation items choose for a served model, and how it does on other items."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from huse_tf import keys
from huse_tf.evaluation.calibration import (
    Reliability,
    Row,
    best_scores,
    choose_temperature,
    negative_log_likelihood,
    precision_frontier,
    reliability,
    threshold_for,
)
from huse_tf.evaluation.predictions import Predictions, true_classes
from huse_tf.evaluation.product_vectors import ImageWeight, choose_image_weight

BOTH = "both"
SOURCES = (keys.IMAGE, keys.TEXT, BOTH)  # what class scores are made from


@dataclasses.dataclass(frozen=True)
class ServingChoices:
    """What validation items choose for a served model.

    Attributes:
        temperatures: source (`SOURCES`) -> temperature of its class scores (`choose_temperature`).
        frontiers: source -> thresholds of the calibrated scores (`precision_frontier`); empty without items.
        product: the weight of the images in a product's vector.
    """

    temperatures: Mapping[str, float]
    frontiers: Mapping[str, Sequence[Row]]
    product: ImageWeight

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """From `dataclasses.asdict`, after JSON has made lists of its tuples."""
        product = dict(tree["product"])
        curves = {name: tuple(values) for name, values in product.items() if name != "weight"}
        return cls(
            tree["temperatures"],
            {source: [tuple(row) for row in rows] for source, rows in tree["frontiers"].items()},
            ImageWeight(product["weight"], **curves),
        )

    def thresholds(self, precision: float) -> dict[str, float | None]:
        """Source -> lowest calibrated score at which this share of the validation items is right, or None."""
        return {source: threshold_for(rows, precision) for source, rows in self.frontiers.items()}


def choose_for_serving(
    predictions: Predictions, items: pd.DataFrame, fusion_weight: float | None
) -> ServingChoices:
    """Chooses temperatures, thresholds and the images' weight on validation items.

    Args:
        predictions: of n validation items.
        items: as in `EvaluationContext`.
        fusion_weight: the image's share in fused predictions; None for a model that fuses itself.
    """
    temperatures, frontiers = {}, {}
    products = items["product_id"].to_numpy()
    masks = _masks(predictions)
    for source, (probabilities, labels) in _by_source(predictions, items, fusion_weight).items():
        temperatures[source] = choose_temperature(probabilities, labels)
        scores, right = best_scores(probabilities, labels, temperatures[source])
        frontiers[source] = precision_frontier(scores, right, products[masks[source]])
    return ServingChoices(temperatures, frontiers, choose_image_weight(predictions, items))


def calibration_metrics(
    choices: ServingChoices,
    predictions: Predictions,
    items: pd.DataFrame,
    fusion_weight: float | None,
    precision: float,
) -> dict[str, float]:
    """How calibrated scores are on items, by metric path.

    Args:
        choices: of the run's validation items.
        predictions, items, fusion_weight: as for `choose_for_serving`, of the measured items.
        precision: that thresholds are chosen for, in (0, 1].

    Returns:
        For each source that items have: `calibration/both/temperature`, `.../items`, the expected calibration
        error and the negative log-likelihood with it (`.../error`, `.../nll`) and without
        (`.../error_before`, `.../nll_before`). With a threshold: `.../threshold`, `.../coverage`, the share of
        items that score at least as much, and `.../precision`, the share of these that is right.
    """
    metrics: dict[str, float] = {}
    thresholds = choices.thresholds(precision)
    for source, (probabilities, labels) in _by_source(predictions, items, fusion_weight).items():
        if not len(labels):
            continue
        temperature, threshold = choices.temperatures[source], thresholds[source]
        scores, right = best_scores(probabilities, labels, temperature)
        found = {
            "items": float(len(labels)),
            "temperature": temperature,
            "error_before": reliability(*best_scores(probabilities, labels)).error,
            "error": reliability(scores, right).error,
            "nll_before": negative_log_likelihood(probabilities, labels),
            "nll": negative_log_likelihood(probabilities, labels, temperature),
        }
        if threshold is not None:
            accepted = scores >= threshold
            found |= {"threshold": threshold, "coverage": float(accepted.mean())}
            if accepted.any():
                found["precision"] = float(right[accepted].mean())
        metrics |= {f"calibration/{source}/{name}": value for name, value in found.items()}
    return metrics


def reliabilities(
    choices: ServingChoices,
    predictions: Predictions,
    items: pd.DataFrame,
    fusion_weight: float | None,
) -> dict[str, tuple[Reliability, Reliability]]:
    """Source -> reliability of the scores before and after calibration, for each source that items have.

    The arguments are those of `calibration_metrics`.
    """
    return {
        source: (
            reliability(*best_scores(probabilities, labels)),
            reliability(*best_scores(probabilities, labels, choices.temperatures[source])),
        )
        for source, (probabilities, labels) in _by_source(predictions, items, fusion_weight).items()
        if len(labels)
    }


def _by_source(
    predictions: Predictions, items: pd.DataFrame, fusion_weight: float | None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Source -> (probabilities, labels) of the items that have it; both: of those with image and text.

    An item with one of the two is served by that one's scores, with that one's temperature.
    """
    labels = true_classes(predictions, items)
    both = predictions.fused(0.5 if fusion_weight is None else fusion_weight)
    probabilities = {
        keys.IMAGE: predictions.image.probabilities,
        keys.TEXT: predictions.text.probabilities,
        BOTH: both,
    }
    return {
        source: (probabilities[source][mask], labels[mask])
        for source, mask in _masks(predictions).items()
    }


def _masks(predictions: Predictions) -> dict[str, np.ndarray]:
    """Source -> [n] bool, True for the items that have it."""
    return {
        keys.IMAGE: predictions.image.mask,
        keys.TEXT: predictions.text.mask,
        BOTH: predictions.complete,
    }
