import keras
import numpy as np
import pytest

from huse_tf.errors import UserError
from huse_tf.training.warm_start import copy_weights


def make(first=3, inner=4, frozen=2.0, names=("one", "two"), seed=0):
    """A dense layer in a nested model, a batch normalisation, a dense layer and a frozen layer."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((first,))
    tower = keras.Sequential([keras.Input((first,)), keras.layers.Dense(inner, name=names[0])])
    tower.name = "tower"
    x = keras.layers.BatchNormalization(name="norm")(tower(inputs))
    x = keras.layers.Dense(2, name=names[1])(x)
    last = keras.layers.Dense(2, use_bias=False, trainable=False, name="constants")
    x = last(x)
    last.set_weights([np.full((2, 2), frozen)])
    return keras.Model(inputs, x)


def test_only_layers_of_equal_path_and_shape_are_copied(tmp_path, rng):
    """Also from a saved file, so names must survive it. Statistics of a normalisation are copied too."""
    source = make(inner=4, frozen=5.0, seed=1)
    source.get_layer("norm").moving_mean.assign(rng.normal(size=4))
    source.save(tmp_path / "model.keras")
    source = keras.models.load_model(tmp_path / "model.keras", compile=False)
    target = make(names=("one", "other"))
    kept = target.get_layer("other").get_weights()
    assert copy_weights(source, target) == ["tower/one", "norm"]
    for layer in ("tower", "norm"):
        for a, b in zip(
            source.get_layer(layer).get_weights(),
            target.get_layer(layer).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(target.get_layer("other").get_weights()[0], kept[0])
    assert (target.get_layer("constants").get_weights()[0] == 2).all()


def test_layers_of_another_shape_are_not_copied():
    assert copy_weights(make(first=5, seed=1), make()) == ["norm", "two"]


def test_a_model_without_a_common_layer_is_refused():
    source = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="elsewhere")])
    with pytest.raises(UserError, match=r"--start_from.*tower/one.*Received: elsewhere"):
        copy_weights(source, make())
