import dataclasses
import typing

import keras
import numpy as np
import pytest

from huse_tf.config import TrainingConfig
from huse_tf.errors import UserError
from huse_tf.training.optimizers import OPTIMIZERS, WITH_MOMENTUM, make_optimizer

NAMES = typing.get_args(typing.get_type_hints(TrainingConfig)["optimizer"])


def steps(optimizer, count=3):
    """The weights after steps down the gradient (1, -2) from (1, 1)."""
    variable = keras.Variable(np.ones(2, np.float32))
    for _ in range(count):
        optimizer.apply([np.array([1.0, -2.0], np.float32)], [variable])
    return variable.numpy()


def test_the_table_and_the_flag_name_the_same_optimizers():
    assert set(NAMES) == set(OPTIMIZERS)
    assert set(WITH_MOMENTUM) < set(OPTIMIZERS)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_the_keras_optimizer_of_that_name(name):
    optimizer = make_optimizer(TrainingConfig(optimizer=name, learning_rate=0.25))
    assert type(optimizer) is OPTIMIZERS[name]
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.25
    assert np.abs(steps(optimizer) - 1).min() > 1e-3


def test_sgd_with_momentum_by_hand():
    """v = m v - lr g, w += v: for g = 1, lr = 0.1, m = 0.5: steps of 0.1, 0.15 and 0.175."""
    config = TrainingConfig(optimizer="sgd", learning_rate=0.1, momentum=0.5)
    np.testing.assert_allclose(steps(make_optimizer(config)), [0.575, 1.85], atol=1e-6)


def test_sgd_without_momentum_by_hand():
    config = TrainingConfig(optimizer="sgd", learning_rate=0.1)
    np.testing.assert_allclose(steps(make_optimizer(config)), [0.7, 1.6], atol=1e-6)


@pytest.mark.parametrize("name", sorted(WITH_MOMENTUM))
def test_momentum_is_honoured(name):
    plain = TrainingConfig(optimizer=name, learning_rate=0.1)
    heavy = dataclasses.replace(plain, momentum=0.9)
    gap = steps(make_optimizer(heavy)) - steps(make_optimizer(plain))
    assert np.abs(gap).min() > 1e-2


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - set(WITH_MOMENTUM)))
def test_momentum_is_refused_where_there_is_none(name):
    with pytest.raises(UserError, match=rf"{name} has none.*--momentum=0.5"):
        make_optimizer(TrainingConfig(optimizer=name, momentum=0.5))


def test_unknown_names_are_refused_with_a_suggestion():
    with pytest.raises(UserError, match=r"'adamm'.*Did you mean 'adam'"):
        make_optimizer(TrainingConfig(optimizer="adamm"))
