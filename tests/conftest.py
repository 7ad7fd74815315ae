"""Shared by all tests: a quiet TensorFlow on the CPU, split into two logical devices.

Logical devices must be set before anything touches TensorFlow, and a second MirroredStrategy in one
process breaks CPU collectives: hence one of each for the whole session.
"""

import os
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# t-SNE's OpenMP threads spin when test processes share few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Not in the process that distributes the tests: it would print TensorFlow's lines about missing
    # GPUs after pytest's last line.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """Two replicas on two logical CPUs."""
    from huse_tf.distribute import make_strategy

    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    return strategy
