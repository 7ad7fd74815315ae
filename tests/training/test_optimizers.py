import dataclasses
import typing

import keras
import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.sections import TrainingConfig
from huse_tf.training.optimizer_settings import WITH
from huse_tf.training.optimizers import OPTIMIZERS, make_optimizer

NAMES = typing.get_args(typing.get_type_hints(TrainingConfig)["optimizer"])
OTHER = {"momentum": 0.5, "beta_1": 0.5, "beta_2": 0.5}


def make(total_steps=100, **settings):
    return make_optimizer(TrainingConfig(**settings), total_steps)


def steps(optimizer, count=4):
    """The weights after each step from (1, 1); the gradient is (1, -2) in the first two steps."""
    variable = keras.Variable(np.ones(2, np.float32))
    for gradient in [(1.0, -2.0), (1.0, -2.0), (3.0, 0.5), (-0.5, 1.0)][:count]:
        optimizer.apply([np.array(gradient, np.float32)], [variable])
    return variable.numpy()


def test_the_table_and_the_flag_name_the_same_optimizers():
    assert set(NAMES) == set(OPTIMIZERS)
    assert all(set(names) < set(OPTIMIZERS) for names in WITH.values())


@pytest.mark.parametrize("name", NAMES)
def test_each_is_the_keras_optimizer_of_that_name(name):
    """With default settings all steps are those of Keras's defaults."""
    optimizer = make(optimizer=name, learning_rate=0.25)
    assert type(optimizer) is OPTIMIZERS[name]
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.25
    np.testing.assert_array_equal(steps(optimizer), steps(OPTIMIZERS[name](learning_rate=0.25)))


def test_sgd_with_momentum_by_hand():
    """v = m v - lr g, w += v: for g = 1, lr = 0.1, m = 0.5: steps of 0.1, 0.15."""
    optimizer = make(optimizer="sgd", learning_rate=0.1, momentum=0.5)
    np.testing.assert_allclose(steps(optimizer, 2), [0.75, 1.5], atol=1e-6)


def test_sgd_without_momentum_by_hand():
    optimizer = make(optimizer="sgd", learning_rate=0.1)
    np.testing.assert_allclose(steps(optimizer, 2), [0.8, 1.4], atol=1e-6)


HONOURED = [(setting, name) for setting, names in WITH.items() for name in names]
REFUSED = [(setting, name) for setting, names in WITH.items() for name in set(NAMES) - set(names)]


@pytest.mark.parametrize(("setting", "name"), HONOURED)
def test_settings_of_an_optimizer_are_honoured(setting, name):
    plain = steps(make(optimizer=name, learning_rate=0.1))
    other = steps(make(optimizer=name, learning_rate=0.1, **{setting: OTHER[setting]}))
    assert np.abs(other - plain).max() > 1e-3


@pytest.mark.parametrize(("setting", "name"), sorted(REFUSED))
def test_settings_that_an_optimizer_lacks_are_refused(setting, name):
    with pytest.raises(UserError, match=rf"{name} has none.*--{setting}=0.5"):
        make(optimizer=name, **{setting: OTHER[setting]})


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_is_decoupled_from_the_gradient(name):
    """At a gradient of zero, w <- w (1 - lr decay)."""
    optimizer = make(optimizer=name, learning_rate=0.5, weight_decay=0.1)
    variable = keras.Variable(np.ones(2, np.float32))
    optimizer.apply([np.zeros(2, np.float32)], [variable])
    np.testing.assert_allclose(variable.numpy(), 0.95, atol=1e-6)


def rates(optimizer, count):
    """The learning rate of each step: the change of a weight in plain SGD at a gradient of 1."""
    variable = keras.Variable(np.zeros(1, np.float32))
    places = [0.0]
    for _ in range(count):
        optimizer.apply([np.ones(1, np.float32)], [variable])
        places.append(float(variable.numpy()[0]))
    return -np.diff(places)


def test_warm_up_and_linear_decay_by_hand():
    """Peak 0.8, 4 steps up, then down to 0 at step 8: 3/4, 2/4, 1/4 of the peak."""
    optimizer = make(8, optimizer="sgd", learning_rate=0.8, warmup_steps=4, decay="linear")
    expected = [0.2, 0.4, 0.6, 0.8, 0.8, 0.6, 0.4, 0.2, 0.0]
    np.testing.assert_allclose(rates(optimizer, 9), expected, atol=1e-6)


def test_warm_up_or_decay_alone():
    up = make(8, optimizer="sgd", learning_rate=1.0, warmup_steps=2)
    np.testing.assert_allclose(rates(up, 4), [0.5, 1, 1, 1], atol=1e-6)
    down = make(4, optimizer="sgd", learning_rate=1.0, decay="linear")
    np.testing.assert_allclose(rates(down, 4), [1, 0.75, 0.5, 0.25], atol=1e-6)


def test_cosine_decay_by_hand():
    """(1 + cos(pi s / 4)) / 2 after 2 steps of warm-up; s = 1 gives (1 + sqrt(1/2)) / 2 = 0.8536."""
    optimizer = make(6, optimizer="sgd", learning_rate=1.0, warmup_steps=2, decay="cosine")
    np.testing.assert_allclose(
        rates(optimizer, 7), [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0], atol=1e-4
    )


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(UserError, match=r"fewer than the steps of the run, 10\. Received: 10"):
        make(10, warmup_steps=10)


def test_unknown_names_are_refused_with_a_suggestion():
    config = dataclasses.replace(TrainingConfig(), optimizer="adamm")
    with pytest.raises(UserError, match=r"'adamm'.*Did you mean 'adam'"):
        make_optimizer(config, 10)
