import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf.spec import FeatureSpec
from huse_tf.towers.mlp import mlp_tower


def make(features=FeatureSpec((6,)), hidden=(5, 7), dim=4, dropout=0.5, **settings):  # noqa: B008
    keras.utils.set_random_seed(2)
    return mlp_tower(
        "tower", features, hidden=hidden, embedding_dim=dim, dropout=dropout, **settings
    )


def by_hand(tower, x, hidden, last=lambda x: x):
    """Matrix products, ReLU after each hidden layer, then division by the length."""
    for index in range(hidden):
        kernel, bias = tower.get_layer(f"tower_hidden_{index}").get_weights()
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = tower.get_layer("tower_projection").get_weights()
    x = last(x @ kernel + bias)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 7, 6)])
def test_the_tower_by_hand(rng, hidden):
    tower = make(hidden=hidden)
    for layer in tower.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(rng.normal(size=layer.units))
    x = rng.normal(size=(9, 6)).astype(np.float32)
    np.testing.assert_allclose(tower(x), by_hand(tower, x, len(hidden)), atol=1e-5)


def test_the_last_activation_comes_before_the_norm(rng):
    tower = make(last_activation="relu", dim=16)
    x = rng.normal(size=(9, 6)).astype(np.float32)
    expected = by_hand(tower, x, 2, lambda x: np.maximum(x, 0))
    np.testing.assert_allclose(tower(x), expected, atol=1e-5)
    assert np.asarray(tower(x)).min() == 0


def test_dropout_follows_every_hidden_layer_and_no_other():
    kinds = [type(layer).__name__ for layer in make().layers]
    assert kinds == [
        "InputLayer",
        *("Dense", "Dropout") * 2,
        "Dense",
        "UnitNormalization",
    ]
    assert [layer.rate for layer in make(dropout=0.25).layers if hasattr(layer, "rate")] == [
        0.25,
        0.25,
    ]


def test_word_ids_pass_through_the_word_model(rng):
    spec = FeatureSpec((7,), vocabulary_size=11)
    tower = make(spec)
    assert tower.input.dtype == "int32"
    assert tower.get_layer("tower_words").input_dim == 11
    embedding = tower(rng.integers(0, 11, (3, 7)).astype(np.int32))
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)


def test_an_input_of_zeros_does_not_become_nan():
    """Biases start at zero, so nothing is left to normalise."""
    assert np.isfinite(make()(np.zeros((2, 6), np.float32))).all()


def test_input_dropout_comes_first_and_not_at_zero():
    layers = make(dropout=0.1, input_dropout=0.4).layers
    assert type(layers[1]).__name__ == "Dropout"
    assert layers[1].rate == 0.4


def test_signed_power_of_the_features(rng, tmp_path):
    """Roots of the sizes, signs kept: -4 becomes -2; and the tower reloads with stock Keras."""
    tower = make(power=0.5)
    x = rng.normal(size=(9, 6)).astype(np.float32)
    x[0, 0] = 0.0
    expected = by_hand(tower, np.sign(x) * np.sqrt(np.abs(x)), 2)
    np.testing.assert_allclose(tower(x), expected, atol=1e-5)
    tower.save(tmp_path / "tower.keras")
    again = keras.models.load_model(tmp_path / "tower.keras")
    np.testing.assert_array_equal(again(x), tower(x))


def test_signed_power_has_a_finite_gradient_at_zero():
    tower = make(power=0.5)
    x = tf.zeros((2, 6))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tower(x)[:, 0])
    assert np.isfinite(tape.gradient(y, x)).all()
