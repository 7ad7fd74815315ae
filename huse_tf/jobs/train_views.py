"""Trains a method of two modalities on two arrays: any two views of the same items.

The commands read images and texts of a catalogue. This is the Python interface for all other pairs of views.
`benchmarks/published/deep_cca.py` uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np

from huse_tf import keys, models
from huse_tf.jobs.array_training import train_epochs
from huse_tf.methods.base import Method
from huse_tf.models.inference import run_model
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer

_VIEWS = (keys.IMAGE, keys.TEXT)


def train_views(
    method: Method,
    views: Sequence[np.ndarray],
    labels: np.ndarray | None = None,
    *,
    optimizer: keras.optimizers.Optimizer | None = None,
    epochs: int = 30,
    batch_size: int = 512,
    seed: int = 0,
    after_epoch: Callable[[int, keras.Model], None] | None = None,
) -> keras.Model:
    """Trains a method on two views: the first takes the place of images, the second that of texts.

    Args:
        method: such as `Cca.of(components=3)` or `DeepCca.of(embedding_dim=50)`.
        views: two arrays [n, dim] float32, row i of either of one item.
        labels: [n] class ids >= 0, for methods that learn from classes and for probes; None: one class.
        optimizer: None: Adam with a learning rate of .001.
        epochs: passes over the items.
        batch_size: items a step. An epoch leaves out the items that do not fill its last batch.
        seed: seed of the items' order. Call `keras.utils.set_random_seed` before to fix the initial
            weights too.
        after_epoch: called with the number of each epoch, from 1, and the model.

    Returns:
        The model of the method. Weights with a closed form, such as deep CCA's projections, are solved for
        at the end.

    Examples:
        The second view is a rotation of the first:

        >>> import keras
        >>> import numpy as np
        >>> from huse_tf.jobs.train_views import canonical_variates, train_views
        >>> from huse_tf.methods.cca import Cca
        >>> keras.utils.set_random_seed(0)
        >>> x = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
        >>> y = x @ np.array([[0.6, -0.8], [0.8, 0.6]], "float32")
        >>> model = train_views(Cca.of(components=1), (x, y), epochs=1)
        >>> a, b = canonical_variates(model, (x, y))
        >>> a.shape
        (50, 1)
        >>> round(float(np.corrcoef(a[:, 0], b[:, 0])[0, 1]), 3)
        1.0
    """
    items = two_views(views, labels)
    spec = _spec(views, int(items[keys.LABEL].max()) + 1)
    model = method.build_model(spec)
    method.adapt(model, items)
    trainer = Trainer(model, method.build_objective(spec))
    trainer.compile(optimizer=optimizer or keras.optimizers.Adam(1e-3))
    for epoch in train_epochs(trainer, items, epochs=epochs, batch_size=batch_size, seed=seed):
        if after_epoch is not None:
            after_epoch(epoch, model)
    method.refit(model, items)
    return model


def canonical_variates(
    model: keras.Model, views: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """[n, components] of either view: the embeddings of a CCA before they are scaled to unit norm.

    Column k of the one correlates with column k of the other.

    Args:
        model: from `train_views`, of `Cca` or `DeepCca`.
        views: two arrays [n, dim] float32.
    """
    inputs = {keys.features(name): view for name, view in zip(_VIEWS, views, strict=True)}
    outputs = run_model(models.canonical_variates(model), inputs)
    return outputs[keys.IMAGE], outputs[keys.TEXT]


def _spec(views: Sequence[np.ndarray], classes: int) -> DataSpec:
    first, second = (FeatureSpec(view.shape[1:]) for view in views)
    return DataSpec(first, second, classes, np.zeros((classes, classes), np.float32))


def two_views(
    views: Sequence[np.ndarray], labels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The items of `train_views` by key (keys.py), every one complete and of weight 1.

    Args:
        views, labels: as for `train_views`.
    """
    count = len(views[0])
    ones = np.ones(count, np.float32)
    labels = np.zeros(count) if labels is None else labels
    items = {keys.WEIGHT: ones, keys.LABEL: labels.astype(np.int32)}
    for name, view in zip(_VIEWS, views, strict=True):
        items[keys.features(name)] = np.asarray(view, np.float32)
        items[keys.mask(name)] = ones
    return items
