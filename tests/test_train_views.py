"""Two arrays in place of images and texts: linear CCA and deep CCA from Python."""

import doctest

import keras
import numpy as np

from huse_tf.jobs import train_views as views_module
from huse_tf.jobs.train_views import canonical_variates, train_views
from huse_tf.methods.deep_cca import DeepCca


def views(rng):
    """A number and its size: their correlation is about 0."""
    number = rng.normal(size=(400, 1)).astype(np.float32)
    return number, np.abs(number)


def correlation(pair):
    return abs(float(np.corrcoef(pair[0][:, 0], pair[1][:, 0])[0, 1]))


def test_deep_cca_finds_what_linear_cca_cannot(rng):
    pair, other = views(rng), views(rng)
    assert correlation(other) < 0.2  # with one column a view, that is all that linear CCA can do
    keras.utils.set_random_seed(0)
    seen = []
    method = DeepCca.of(embedding_dim=1, image_layers=(16,), text_layers=(16,), regularization=1e-3)
    deep = train_views(
        method,
        pair,
        optimizer=keras.optimizers.Adam(0.02),
        epochs=15,
        batch_size=100,
        after_epoch=lambda epoch, model: seen.append(epoch),
    )
    assert seen == [*range(1, 16)]
    assert correlation(canonical_variates(deep, other)) > 0.9


def test_the_example_in_the_docstring_runs():
    (example,) = doctest.DocTestFinder(recurse=False).find(train_views, "train_views")
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
    assert views_module.two_views((np.zeros((2, 1)), np.zeros((2, 1))))["label"].tolist() == [0, 0]
