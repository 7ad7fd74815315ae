"""The objective of training: named loss terms and their weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.losses.term import LossTerm, Tensors

# The squared length of the gradient of a loss in all trainable weights, as a scalar.
SquaredGradient = Callable[[tf.Tensor], tf.Tensor]


class Weighting(Protocol):
    """Weights of terms that are found anew in each step."""

    def __call__(
        self, losses: Mapping[str, tf.Tensor], squared_gradient: SquaredGradient
    ) -> Mapping[str, tf.Tensor]:
        """A weight >= 0 for each loss, both scalars by the names of the terms.

        Args:
            losses: of the global batch. Weights may be functions of them that gradients pass.
            squared_gradient: of one of these losses; a pass back through the network each.
        """
        ...


def _no_gradient(loss: tf.Tensor) -> tf.Tensor:
    raise ValueError("These weights need gradients. Expected a call with `squared_gradient`.")


@dataclasses.dataclass(frozen=True)
class Objective:
    """The weighted sum of terms.

    Attributes:
        terms: by name.
        weights: a number >= 0 for each term (a term of weight 0 is still computed and reported), or a
            `Weighting` that finds them in each step.
        targets: the keys of the batch that the terms read. Only these are gathered over replicas; so a
            mean over the present items is one over the global batch.
    """

    terms: Mapping[str, LossTerm]
    weights: Mapping[str, float] | Weighting
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            return
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

    def plus(self, other: Objective) -> Objective:
        """An objective with the terms of both. Both must have fixed weights and terms of other names."""
        if not isinstance(self.weights, Mapping) or not isinstance(other.weights, Mapping):
            raise ValueError("Only objectives of fixed weights can be added.")
        return Objective(
            {**self.terms, **other.terms},
            {**self.weights, **other.weights},
            tuple(dict.fromkeys((*self.targets, *other.targets))),
        )

    def __call__(
        self, outputs: Tensors, batch: Tensors, squared_gradient: SquaredGradient = _no_gradient
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The total loss, and a report of its terms.

        Args:
            outputs: of the model.
            batch: the targets.
            squared_gradient: for weights that are found from gradients; ValueError without.

        Returns:
            (total, report): every term before weighting is under `loss/NAME`, the total under
            `loss/total`, weights found in this step under `weight/NAME`.
        """
        losses = {name: term(outputs, batch) for name, term in self.terms.items()}
        report = {f"loss/{name}": loss for name, loss in losses.items()}
        weights = self.weights
        if not isinstance(weights, Mapping):
            weights = weights(losses, squared_gradient)
            report |= {f"weight/{name}": weight for name, weight in weights.items()}
        total = tf.add_n([weights[name] * loss for name, loss in losses.items()])
        return total, {"loss/total": total, **report}
