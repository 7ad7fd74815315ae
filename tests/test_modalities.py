"""The Python interface for any number of modalities, on planted modalities of known informativeness."""

import doctest

import keras
import numpy as np
import pytest

import huse_tf
from huse_tf import keys
from huse_tf.jobs import train_fused as modalities
from huse_tf.jobs.train_fused import train_fused

# Modality -> share of the items whose class it shows.
PLANTED = {"clear": 0.9, "noisy": 0.6, "empty": 0.0}


def problem(count=600):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    features = {}
    for name, share in PLANTED.items():
        values = rng.normal(size=(count, 6)).astype(np.float32)
        shown = rng.random(count) < share
        values[shown, 0] += 3 * (2 * labels[shown] - 1)
        features[name] = values
    return features, labels


def train(fusion, p=1.0, epochs=12):
    keras.utils.set_random_seed(0)
    networks = {}
    for name in PLANTED:
        inputs = keras.Input((6,))
        networks[name] = keras.Model(inputs, keras.layers.Dense(4, activation="relu")(inputs))
    features, labels = problem()
    settings = {"p": p, "penalty": 0.02, "learning_rate": 0.02, "epochs": epochs, "batch_size": 100}
    return train_fused(networks, features, labels, 2, fusion=fusion, **settings)


@pytest.mark.parametrize("fusion", ["mnl", "softmax"])
def test_contributions_are_in_the_order_of_informativeness(fusion):
    model, by_epoch = train(fusion)
    assert by_epoch.shape == (12, 3)
    np.testing.assert_allclose(by_epoch.sum(axis=1), 1, atol=1e-5)
    clear, noisy, empty = by_epoch[-1]
    assert clear > noisy > empty
    assert empty < (0.05 if fusion == "mnl" else 0.2)
    features, labels = problem()
    np.testing.assert_allclose(modalities.contributions(model, features), by_epoch[-1], atol=1e-6)
    assert modalities.accuracy(model, features, labels) > 0.9


def test_a_saved_model_loads_as_stock_keras(tmp_path):
    model, _ = train("mnl", p=2.0, epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    features, _ = problem()
    for key, value in model(features).items():
        np.testing.assert_array_equal(again(features)[key], value)
    kinds = {type(layer).__module__.split(".")[0] for layer in again.layers}
    assert kinds == {"keras"}


def test_the_example_in_the_docstring_runs():
    assert huse_tf.train_fused is train_fused
    (example,) = doctest.DocTestFinder(recurse=False).find(train_fused, "train_fused")
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_items_of_sequences(rng):
    """The step before shows the class of a step, so a network must read the sequence."""
    count, steps = 120, 4
    shown = rng.integers(0, 2, (count, steps))
    labels = np.roll(shown, 1, axis=1)
    labels[:, 0] = 0
    clear = rng.normal(scale=0.3, size=(count, steps, 2)) + (2 * shown - 1)[..., None]
    features = {"clear": clear, "noise": rng.normal(size=(count, steps, 2))}
    features = {name: values.astype(np.float32) for name, values in features.items()}
    labels[::2, 3] = -1  # half of the sequences have three steps
    for values in features.values():
        values[::2, 3] = 0
    keras.utils.set_random_seed(0)
    networks = {}
    for name in features:
        inputs = keras.Input((steps, 2))
        layer = keras.layers.Conv1D(6, 2, padding="causal", activation="relu")
        networks[name] = keras.Model(inputs, layer(inputs))
    epochs = []
    model, by_epoch = train_fused(
        networks,
        features,
        labels,
        2,
        penalty=0.01,
        learning_rate=0.02,
        epochs=6,
        batch_size=20,
        after_epoch=lambda epoch, model: epochs.append(epoch),
    )
    assert epochs == [*range(1, 7)]
    assert modalities.accuracy(model, features, labels) > 0.9
    assert by_epoch[-1][0] > by_epoch[-1][1]


def test_steps_after_the_end_of_a_sequence_count_as_nothing(monkeypatch):
    """Three steps of two sequences; the second has ended after one."""
    outputs = {
        keys.FUSED_LOGITS: np.eye(2)[[0, 1, 1, 0, 1, 1]],
        keys.MODALITY_WEIGHTS: np.array(
            [[0.5, 0.5], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1], [1, 0], [1, 0]]
        ),
    }
    monkeypatch.setattr(modalities, "outputs_of", lambda model, features: outputs)
    there = np.array([[1, 1, 1], [1, 0, 0]])[..., None]
    features = {"a": np.zeros((2, 3, 2)) + there, "b": np.zeros((2, 3, 1))}
    labels = np.array([[0, 1, 0], [0, -1, -1]])
    assert modalities.accuracy(None, features, labels) == 3 / 4
    np.testing.assert_allclose(modalities.contributions(None, features), [0.45, 0.55])
