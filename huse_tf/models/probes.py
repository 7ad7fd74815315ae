"""Linear probes: classifiers on embeddings, solved for and not trained with them.

They are logistic regressions, as in Radford et al. 2021 (arXiv 2103.00020, section 3.2). A probe that is
trained by gradient steps lags behind embeddings that move, and its accuracy then tells of the lag.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from huse_tf import keys
from huse_tf.models.inference import run_model
from huse_tf.models.logistic_regression import logistic_regression
from huse_tf.models.two_tower import classifier_name, separate_classifiers, two_tower_model
from huse_tf.spec import DataSpec

MOST_ROWS = 20_000  # of larger catalogues, so that a validation does not wait for its probes
# scikit-learn's C, on rows of mean 0 and mean square 1. From .01 to 1 it changes validation accuracy on
# the bundled catalogue (four methods, one seed) by .05 at most.
_C = 0.1
_MOST_STEPS = 100  # some need twice as many to converge; a validation should not wait for them


def probed_model(spec: DataSpec, image_tower: keras.Model, text_tower: keras.Model) -> keras.Model:
    """`two_tower_model` with classifiers that training does not change; `set_probes` sets them.

    Arguments as for `two_tower_model`.
    """
    dim = image_tower.output_shape[-1]
    probes = separate_classifiers(spec.num_classes, dim, norm=1.0, trainable=False)
    return two_tower_model(spec, image_tower, text_tower, *probes)


def set_probes(model: keras.Model, features: Mapping[str, np.ndarray]) -> None:
    """Solves for the classifiers of both modalities and sets them.

    Args:
        model: with the layers `image_classifier` and `text_classifier` on its embeddings.
        features: the training items by key, with masks, weights and labels. Of more than `MOST_ROWS`
            items as many are used, evenly spaced.
    """
    count = len(features[keys.WEIGHT])
    rows = np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(int)
    outputs = run_model(model, features, rows)
    labels = features[keys.LABELS if keys.LABELS in features else keys.LABEL][rows]
    for modality in (keys.IMAGE, keys.TEXT):
        classifier = model.get_layer(classifier_name(modality))
        weights = (features[keys.WEIGHT] * features[keys.mask(modality)])[rows]
        embeddings = outputs[keys.embedding(modality)]
        classifier.set_weights(linear_probe(embeddings, labels, weights, classifier.units))


def linear_probe(
    rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias of the class scores rows @ kernel + bias.

    Args:
        rows: [n, D] embeddings.
        labels: [n] int labels, for a softmax; or [n, K] multi-hot, for a sigmoid a class.
        weights: [n] >= 0; a row of weight 2 counts like two equal rows, one of 0 not at all.
        num_classes: K.

    Returns:
        kernel [D, K] and bias [K], float32; a class that no row has gets kernel 0 and a low bias.
    """
    there = weights > 0
    rows, labels, weights = rows[there].astype(np.float64), labels[there], weights[there]
    mean, scale = np.zeros(rows.shape[1]), 1.0
    if len(rows):
        mean = np.average(rows, axis=0, weights=weights)
        rows = rows - mean
        # One scale for all, so that the penalty means the same at any size, and directions keep theirs.
        scale = np.sqrt(np.average(np.mean(rows**2, axis=1), weights=weights)) or 1.0
    kernel, bias = logistic_regression(rows / scale, labels, weights, num_classes, _C, _MOST_STEPS)
    kernel /= scale
    return kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32)
