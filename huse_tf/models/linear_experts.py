"""Linear experts: logistic regressions on the features, pooled with the class scores of the towers.

On a small catalogue a penalised regression can beat a trained network, on a large one it is the other way. So both
speak: the scores of a class are a weighted sum of what each expert says, a logarithmic opinion pool (Genest and
Zidek 1986, doi 10.1214/ss/1177013825). The weights are those under which validation items are most likely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import scipy.optimize
import scipy.special

from huse_tf import keys
from huse_tf.models.feature_probes import BOTH, feature_classifiers, layer_name
from huse_tf.models.inference import run_model
from huse_tf.spec import DataSpec

# The experts of each pool, in the order of its weights: (who, column of features).
TOWER, REGRESSION = "tower", "regression"
POOLS = {
    keys.IMAGE: ((TOWER, keys.IMAGE), (REGRESSION, keys.IMAGE)),
    keys.TEXT: ((TOWER, keys.TEXT), (REGRESSION, keys.TEXT)),
    BOTH: (
        (TOWER, keys.IMAGE),
        (REGRESSION, keys.IMAGE),
        (TOWER, keys.TEXT),
        (REGRESSION, keys.TEXT),
        (REGRESSION, BOTH),
    ),
}
# Until weights are set the towers speak alone.
_TOWERS_ALONE = {keys.IMAGE: (1.0, 0.0), keys.TEXT: (1.0, 0.0), BOTH: (0.5, 0.0, 0.5, 0.0, 0.0)}
# Where the pooled scores go.
_OUTPUTS = {
    keys.IMAGE: keys.IMAGE_LOGITS,
    keys.TEXT: keys.TEXT_LOGITS,
    BOTH: keys.FUSED_LOGITS,
}


def takes_experts(spec: DataSpec) -> bool:
    """Whether both encoders give a vector of numbers an item, which a regression can read."""
    return all(len(each.shape) == 1 and each.dtype == "float32" for each in (spec.image, spec.text))


def pooled_logits(
    spec: DataSpec,
    inputs: Mapping[str, keras.KerasTensor],
    tower_logits: Mapping[str, keras.KerasTensor],
    image_power: float,
) -> dict[str, keras.KerasTensor]:
    """Class scores of image, of text and of both, [batch, K] each, by the keys of their outputs.

    Args:
        spec: of the data; `takes_experts` must be true.
        inputs: from `feature_inputs`.
        tower_logits: [batch, K] by modality.
        image_power: signed power of the image features, as for `tower_front`.
    """
    logits = {(TOWER, modality): scores for modality, scores in tower_logits.items()}
    for column, scores in feature_classifiers(spec, inputs, image_power).items():
        logits[REGRESSION, column] = scores
    return {
        _OUTPUTS[pool]: _pool(pool, [logits[expert] for expert in experts])
        for pool, experts in POOLS.items()
    }


def _pool(name: str, logits: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """The weighted sum [batch, K] of several [batch, K], by weights that gradients do not change."""
    layer = keras.layers.Dense(1, use_bias=False, trainable=False, name=_layer_name(name))
    layer.build((None, len(logits)))
    layer.set_weights([_as_kernel(_TOWERS_ALONE[name])])
    return keras.ops.squeeze(layer(keras.ops.stack(logits, axis=-1)), axis=-1)


def set_pools(model: keras.Model, weights: Mapping[str, Sequence[float]]) -> None:
    """Sets the weights of the pools.

    Args:
        model: with outputs of `pooled_logits`.
        weights: of each pool, in the order of `POOLS`.
    """
    for name in POOLS:
        model.get_layer(_layer_name(name)).set_weights([_as_kernel(weights[name])])


def choose_pools(model: keras.Model, validation: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """The weights of each pool under which the validation items are most likely.

    Items that lack what a pool reads do not count. A pool without an item keeps the towers alone.

    Args:
        model: with outputs of `pooled_logits`, trained, with its regressions set.
        validation: items of classes that have training items, by key, with masks, weights and labels.
    """
    experts = sorted({expert for each in POOLS.values() for expert in each})
    layers = [_expert_output(model, expert) for expert in experts]
    asked = keras.Model(model.input, dict(zip(map("/".join, experts), layers, strict=True)))
    found = run_model(asked, validation)
    labels = validation[keys.LABELS if keys.LABELS in validation else keys.LABEL]
    chosen = {}
    for name, parts in POOLS.items():
        weights = np.asarray(validation[keys.WEIGHT], np.float64)
        for modality in (keys.IMAGE, keys.TEXT) if name == BOTH else (name,):
            weights = weights * validation[keys.mask(modality)]
        there = weights > 0
        if not there.any():
            chosen[name] = _TOWERS_ALONE[name]
            continue
        logits = np.stack([found["/".join(part)][there] for part in parts])
        chosen[name] = pool_weights(logits, labels[there], weights[there])
    return chosen


def pool_weights(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, ...]:
    """The weights >= 0 of experts under which items are most likely; a convex problem.

    Args:
        logits: [experts, n, K] class scores of each expert.
        labels: [n] int labels, for a softmax; or [n, K] multi-hot, for a sigmoid a class.
        weights: [n] > 0 of the items.

    Examples:
        The second expert is wrong as often as it is right, so only the first one counts:

        >>> first = [[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]]
        >>> second = [[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [0.0, 9.0]]
        >>> found = pool_weights(np.array([first, second]), np.array([0, 1, 0, 1]), np.ones(4))
        >>> [round(each, 2) for each in found]
        [0.55, 0.0]
    """
    shares, rows = weights / weights.sum(), np.arange(len(labels))
    logits = logits.astype(np.float64)

    def loss(pool: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.tensordot(pool, logits, axes=1)
        if labels.ndim == 1:
            log_p = scipy.special.log_softmax(scores, axis=1)
            errors, slopes = -log_p[rows, labels], np.exp(log_p)
            slopes[rows, labels] -= 1.0
        else:
            errors = np.logaddexp(0.0, np.where(labels > 0, -scores, scores)).sum(axis=1)
            slopes = scipy.special.expit(scores) - labels
        slopes *= shares[:, np.newaxis]
        return float(shares @ errors), np.einsum("enk,nk->e", logits, slopes)

    count = len(logits)
    found = scipy.optimize.minimize(
        loss, np.full(count, 1.0 / count), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * count
    )
    return tuple(round(float(each), 6) for each in found.x)


def _expert_output(model: keras.Model, expert: tuple[str, str]) -> keras.KerasTensor:
    who, column = expert
    if who == TOWER:
        return model.output[keys.tower_logits(column)]
    return model.get_layer(layer_name(column)).output


def _as_kernel(weights: Sequence[float]) -> np.ndarray:
    return np.asarray(weights, np.float32)[:, np.newaxis]


def _layer_name(pool: str) -> str:
    return f"{pool}_pool"
