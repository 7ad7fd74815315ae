"""What is minimised: named loss terms and their weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.losses.term import LossTerm, Tensors


@dataclasses.dataclass(frozen=True)
class Objective:
    """The weighted sum of terms.

    Attributes:
        terms: by name.
        weights: one for each term, >= 0. A term of weight 0 is computed and reported all the same.
        targets: the keys of the batch that the terms read; no others are gathered over replicas, so
            that means over what is there are means over the global batch.
    """

    terms: Mapping[str, LossTerm]
    weights: Mapping[str, float]
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        if set(self.terms) != set(self.weights):
            raise UserError(
                f"Every term needs one weight. Terms: {sorted(self.terms)}. Received weights for: "
                f"{sorted(self.weights)}."
            )
        for name, weight in self.weights.items():
            if not 0 <= weight < float("inf"):
                raise UserError(
                    f"The weight of {name} must be finite and >= 0. Received: {weight}."
                )

    def __call__(self, outputs: Tensors, batch: Tensors) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The total, and every term before weighting under `loss/NAME`, the total under `loss/total`."""
        losses = {name: term(outputs, batch) for name, term in self.terms.items()}
        total = tf.add_n([self.weights[name] * loss for name, loss in losses.items()])
        report = {f"loss/{name}": loss for name, loss in losses.items()}
        return total, {"loss/total": total, **report}
