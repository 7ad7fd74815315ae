import keras
import numpy as np
import pytest

from huse_tf.spec import FeatureSpec
from huse_tf.towers.linear import linear_tower


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_a_matrix_and_nothing_else(rng, power):
    tower = linear_tower("tower", FeatureSpec((6,)), dim=3, power=power)
    x = rng.normal(size=(5, 6)).astype(np.float32)
    (kernel,) = tower.get_weights()
    expected = (np.sign(x) * np.abs(x) ** power) @ kernel
    np.testing.assert_allclose(tower(x), expected, atol=1e-5)


def test_words_and_networks_come_first(rng):
    words = linear_tower("tower", FeatureSpec((7,), vocabulary_size=11), dim=3)
    assert words(rng.integers(0, 11, (2, 7))).shape == (2, 3)
    network = [keras.layers.Rescaling(2.0)]
    tower = linear_tower("tower", FeatureSpec((6,)), dim=3, network=network)
    x = rng.normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_allclose(tower(x), 2 * x @ tower.get_weights()[0], atol=1e-5)


def test_dropout_is_for_training_only(rng):
    tower = linear_tower("tower", FeatureSpec((50,)), dim=3, input_dropout=0.5)
    x = rng.normal(size=(5, 50)).astype(np.float32)
    np.testing.assert_allclose(tower(x), x @ tower.get_weights()[0], atol=1e-5)
    assert np.abs(tower(x, training=True) - tower(x)).max() > 1e-2
