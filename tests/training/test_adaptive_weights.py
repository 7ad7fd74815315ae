"""Adaptive weights of FashionBERT: eq. (6) solves problem (5); bounds; use in training steps."""

import itertools

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from huse_tf import distribute
from huse_tf.losses.adaptive_weights import GradientWeights, LossWeights, closed_form
from huse_tf.losses.objective import Objective
from huse_tf.training.trainer import Trainer

LOSSES = {"a": 0.3, "b": 2.0, "c": 1.1}


def problem(weights, squares):
    """Eq. (5): -1/2 sum |w_i grad_i|^2 + 1/2 sum over pairs (w_i - w_j)^2."""
    pairs = sum((a - b) ** 2 for a, b in itertools.combinations(weights, 2))
    return -0.5 * np.sum(np.square(weights) * squares) + 0.5 * pairs


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_closed_form_solves_the_problem(rng, count):
    for _ in range(5):
        squares = rng.uniform(0, 1, count)
        found = closed_form(tf.constant(squares)).numpy()
        best = scipy.optimize.minimize(
            problem,
            np.full(count, 1 / count),
            args=(squares,),
            bounds=[(0, 1)] * count,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            tol=1e-12,
        )
        assert problem(found, squares) <= best.fun + 1e-9
        np.testing.assert_allclose(found, best.x, atol=1e-4)


def test_by_hand():
    """L = 3, squares 0, 1, 1: 1/3, 1/2, 1/2 over 4/3 = 1/4, 3/8, 3/8."""
    np.testing.assert_allclose(closed_form(tf.constant([0.0, 1.0, 1.0])), [0.25, 0.375, 0.375])


def named(values):
    return {name: tf.constant(value, tf.float32) for name, value in values.items()}


@pytest.mark.parametrize("stop_gradient", [False, True])
def test_the_codes_weights_against_numpy(rng, stop_gradient):
    for _ in range(20):
        losses = dict(zip("abc", rng.exponential(3, 3), strict=True))
        found = LossWeights(stop_gradient)(named(losses), None)
        shares = np.exp(list(losses.values())) / np.exp(list(losses.values())).sum()
        inverse = 1 / (3 - shares**2)
        np.testing.assert_allclose(list(found.values()), inverse / inverse.sum(), rtol=1e-5)
        assert list(found) == list("abc")
        assert all(2 / 7 - 1e-6 <= float(weight) <= 3 / 7 + 1e-6 for weight in found.values())
    equal = LossWeights(stop_gradient)(named(dict.fromkeys("abc", 1.7)), None)
    np.testing.assert_allclose(list(equal.values()), 1 / 3, rtol=1e-6)


def test_gradients_pass_the_weights_or_stop():
    """With stop_gradient a loss's gradient is its weight; without it, a larger loss gets a larger one."""
    for stop in (True, False):
        values = [tf.Variable(value) for value in LOSSES.values()]
        with tf.GradientTape() as tape:
            losses = dict(zip(LOSSES, map(tf.convert_to_tensor, values), strict=True))
            weights = LossWeights(stop)(losses, None)
            total = tf.add_n([weights[name] * losses[name] for name in LOSSES])
        gradient = np.array(tape.gradient(total, values))
        same = np.abs(gradient - np.array(list(weights.values()))).max() < 1e-6
        assert same is np.bool_(stop)


def test_gradient_weights_by_hand():
    """Squares 1, 3, 0 are shares 1/4, 3/4, 0: 1/2.75, 1/2.25, 1/3 over their sum."""
    squares = {"a": 1.0, "b": 3.0, "c": 0.0}
    losses = named(squares)
    found = GradientWeights()(losses, lambda loss: loss)
    inverse = np.array([1 / 2.75, 1 / 2.25, 1 / 3])
    np.testing.assert_allclose(list(found.values()), inverse / inverse.sum(), rtol=1e-6)
    nothing = GradientWeights()(losses, lambda loss: 0 * loss)
    np.testing.assert_allclose(list(nothing.values()), 1 / 3, rtol=1e-6)


def mean_of(power):
    return lambda outputs, batch: tf.reduce_mean(tf.abs(outputs["y"] - batch["t"]) ** power)


def make_trainer(weights, clip_norm=0.0):
    """A model y = x . w with w = (1, -1), and the mean error to the powers 1, 2, 3 as losses."""
    x = keras.Input((2,), name="x")
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Model({"x": x}, {"y": layer(x)[:, 0]})
    layer.set_weights([np.array([[1.0], [-1.0]])])
    terms = {name: mean_of(power) for name, power in zip(LOSSES, (1, 2, 3), strict=True)}
    trainer = Trainer(model, Objective(terms, weights, ("t",)), clip_norm)
    trainer.compile(optimizer=keras.optimizers.SGD(0.1))
    return trainer


def make_batch(rng):
    return {"x": rng.normal(size=(8, 2)).astype("f4"), "t": rng.normal(size=8).astype("f4")}


def gradients(batch):
    """[3, 2] gradients of the three terms at w = (1, -1), by hand."""
    error = batch["x"] @ np.array([1.0, -1.0]) - batch["t"]
    slopes = [np.sign(error), 2 * error, 3 * error**2 * np.sign(error)]
    return np.array([(slope[:, None] * batch["x"]).mean(axis=0) for slope in slopes])


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
@pytest.mark.slow
def test_a_step_weights_by_gradients_of_the_global_losses(rng, mirrored, replicas, clip_norm):
    """One SGD step from (1, -1), by hand: squared norms of the whole batch, also over two replicas.

    Each replica's own part has other norms: of halves, and not of the sum.
    """
    batch = make_batch(rng)
    single = gradients(batch)
    shares = np.sum(single**2, axis=1) / np.sum(single**2)
    weights = 1 / (3 - shares) / np.sum(1 / (3 - shares))
    gradient = weights @ single
    if clip_norm:
        assert np.linalg.norm(gradient) > clip_norm
        gradient *= clip_norm / np.linalg.norm(gradient)
    if replicas == 1:
        trainer = make_trainer(GradientWeights(), clip_norm)
        report = trainer.train_step({key: tf.constant(value) for key, value in batch.items()})
    else:
        with mirrored.scope():
            trainer = make_trainer(GradientWeights(), clip_norm)
        step = distribute.step_function(mirrored, trainer.train_step)
        dataset = tf.data.Dataset.from_tensors(batch)
        (report,) = (step(part) for part in distribute.distribute_batches(mirrored, dataset))
    for name, weight in zip(LOSSES, weights, strict=True):
        assert float(report[f"weight/{name}"]) == pytest.approx(weight, rel=1e-4)
    moved = np.array([[1.0], [-1.0]]) - 0.1 * gradient[:, None]
    np.testing.assert_allclose(trainer.get_weights()[0], moved, atol=1e-5)


def test_a_short_gradient_is_not_clipped(rng):
    batch = make_batch(rng)
    plain, clipped = (make_trainer({"a": 1.0, "b": 0.0, "c": 0.0}, clip) for clip in (0.0, 100.0))
    for trainer in (plain, clipped):
        trainer.train_step({key: tf.constant(value) for key, value in batch.items()})
    np.testing.assert_array_equal(plain.get_weights()[0], clipped.get_weights()[0])


def test_gradient_weights_need_gradients(rng):
    trainer = make_trainer(GradientWeights())
    batch = {key: tf.constant(value) for key, value in make_batch(rng).items()}
    with pytest.raises(ValueError, match="squared_gradient"):
        trainer.objective(trainer(batch), batch)
