"""Strategies by name, and sums over replicas, by hand."""

import types

import pytest
import tensorflow as tf

from huse_tf import distribute
from huse_tf.errors import UserError

ONE, MIRRORED = "one", "mirrored"


@pytest.mark.parametrize(
    ("name", "gpus", "expected"),
    [
        ("auto", 0, (ONE, "CPU:0")),
        ("auto", 1, (ONE, "GPU:0")),
        ("auto", 2, (MIRRORED, ["GPU:0", "GPU:1"])),
        ("one", 0, (ONE, "CPU:0")),
        ("one", 2, (ONE, "GPU:0")),
        ("mirrored", 0, (MIRRORED, ["CPU:0", "CPU:1"])),
        ("mirrored", 1, (MIRRORED, ["GPU:0"])),
    ],
)
def test_the_devices_of_each_strategy(name, gpus, expected, monkeypatch):
    counts = {"GPU": gpus, "CPU": 2}
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind: [types.SimpleNamespace(name=f"{kind}:{n}") for n in range(counts[kind])],
    )
    monkeypatch.setattr(tf.distribute, "OneDeviceStrategy", lambda device: (ONE, device))
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices: (MIRRORED, devices))
    assert distribute.make_strategy(name) == expected


def test_an_unknown_strategy_is_refused():
    with pytest.raises(UserError, match="mirrored"):
        distribute.make_strategy("miror")


def test_one_replica_gathers_and_shares_nothing():
    values = {"a": tf.constant([1.0, 2.0])}
    assert distribute.gather(values) == values
    assert float(distribute.share(tf.constant(6.0))) == 6
    gradients = [tf.constant([3.0, 0.0]), None, tf.constant([[4.0]])]
    assert float(distribute.squared_norm(gradients)) == 25


def test_two_replicas_by_hand(mirrored):
    """Rows 1 and 2 are gathered as [1, 2]; the share of 6 is 3; gradients (1, 2) and (2, 2) sum to (3, 4)."""

    def step(batch):
        first = batch["row"][0] == 1.0
        part = tf.where(first, tf.constant([1.0, 2.0]), tf.constant([2.0, 2.0]))
        gathered = distribute.gather(batch)["row"]
        return {
            "first": gathered[0],
            "second": gathered[1],
            "share": distribute.share(tf.constant(6.0)),
            "norm": distribute.squared_norm([part, None]),
            "mean": batch["row"][0],
        }

    dataset = tf.data.Dataset.from_tensors({"row": tf.constant([1.0, 2.0])})
    run = distribute.step_function(mirrored, step)
    (found,) = [run(batch) for batch in distribute.distribute_batches(mirrored, dataset)]
    results = {name: float(value) for name, value in found.items()}
    assert results == {"first": 1, "second": 2, "share": 3, "norm": 25, "mean": 1.5}


def test_a_norm_outside_a_step_is_that_of_these_gradients():
    """In the scope of a strategy, but in no replica, there is nothing to sum over."""
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert float(distribute.squared_norm([tf.constant([3.0, 4.0]), None])) == 25
