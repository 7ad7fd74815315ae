"""The weighted sum of terms by hand, and weights that are refused."""

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
    """3 and 7, weighed 2 and a half, are 9.5; the report has them unweighed."""
    total, report = Objective(TERMS, {"far": 2.0, "near": 0.5}, ("y",))(OUTPUTS, BATCH)
    assert float(total) == 9.5
    assert told(report) == {"loss/far": 3, "loss/near": 7, "loss/total": 9.5}


def test_weights_that_are_found_in_a_step():
    """From the losses and the gradients, and reported."""

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
def test_weights_below_zero_or_without_bounds_are_refused(weight):
    with pytest.raises(UserError, match=r"weight of near must be finite and >= 0. Received"):
        Objective(TERMS, {"far": 1.0, "near": weight}, ("y",))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1e30])
def test_others_are_not(weight):
    Objective(TERMS, {"far": weight, "near": 1.0}, ("y",))
