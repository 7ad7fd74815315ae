"""The weighted sum of terms, by hand, and invalid weights."""

import math

import pytest
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.losses.objective import Objective

TERMS = {
    "far": lambda outputs, batch: outputs["x"] - batch["y"],
    "near": lambda outputs, batch: outputs["x"] + batch["y"],
}
OUTPUTS, BATCH = {"x": tf.constant(5.0)}, {"y": tf.constant(2.0)}


def told(report):
    return {name: float(value) for name, value in report.items()}


def test_fixed_weights():
    """3 and 7 with weights 2 and 0.5 give 9.5. The report holds the terms without weights."""
    total, report = Objective(TERMS, {"far": 2.0, "near": 0.5}, ("y",))(OUTPUTS, BATCH)
    assert float(total) == 9.5
    assert told(report) == {"loss/far": 3, "loss/near": 7, "loss/total": 9.5}


def test_weights_that_are_computed_in_each_step():
    """They depend on losses and gradients, and are reported."""

    def weighting(losses, squared_gradient):
        return {"far": losses["near"], "near": squared_gradient(losses["far"])}

    objective = Objective(TERMS, weighting, ("y",))
    total, report = objective(OUTPUTS, BATCH, lambda loss: loss**2)
    assert float(total) == 7 * 3 + 9 * 7
    assert told(report) == {
        "loss/far": 3,
        "loss/near": 7,
        "loss/total": 84,
        "weight/far": 7,
        "weight/near": 9,
    }


@pytest.mark.parametrize("weights", [{"far": 1.0}, {"far": 1.0, "near": 1.0, "other": 1.0}, {}])
def test_every_term_has_one_weight(weights):
    with pytest.raises(UserError, match=r"one weight.*\['far', 'near'\].*Received"):
        Objective(TERMS, weights, ("y",))


@pytest.mark.parametrize("weight", [-1e-9, -1.0, math.inf, math.nan])
def test_negative_and_infinite_weights_are_refused(weight):
    with pytest.raises(UserError, match=r"weight of near must be finite and >= 0. Received"):
        Objective(TERMS, {"far": 1.0, "near": weight}, ("y",))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1e30])
def test_other_weights_are_accepted(weight):
    Objective(TERMS, {"far": weight, "near": 1.0}, ("y",))
