"""Trains a classifier on any number of modalities, from arrays and one sub-network per modality.

The commands support images and text columns (`--method=modality_weights`). This is the Python interface for
all other modalities. `benchmarks/modality_weights.py` and `benchmarks/planted_modalities.py` use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np

from huse_tf import keys
from huse_tf.heads.sub_networks import fused_model
from huse_tf.jobs.array_training import train_epochs
from huse_tf.methods.fused_objective import fused_objective
from huse_tf.training.trainer import Trainer

_A_BATCH = 1024  # items, or sequences, that are answered at once


def train_fused(
    sub_networks: Mapping[str, keras.Model],
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    num_classes: int,
    *,
    fusion: str = "mnl",
    p: float = 1.0,
    penalty: float = 0.01,
    learning_rate: float = 1e-3,
    epochs: int = 30,
    batch_size: int = 128,
    seed: int = 0,
    after_epoch: Callable[[int, keras.Model], None] | None = None,
) -> tuple[keras.Model, np.ndarray]:
    """Trains M sub-networks and a fusion head together with Adam.

    Items may come in sequences, such as the utterances of a video: features [n, steps, dim], labels
    [n, steps], sub-networks that give features of each step (`heads.fused_model`). n and batch_size then
    count sequences, and each item counts alike.

    Args:
        sub_networks: modality -> Keras model with one input [batch, ...] and one output [batch, dim_m].
        features: modality -> [n, ...] inputs of n items. Every item has all modalities.
        labels: [n] class ids in [0, num_classes). Or [n, steps], -1 where a sequence has ended; the
            features of such a step are zeros in every modality.
        num_classes: K, at least 2.
        fusion: name of the fusion head: "mnl", "softmax" or "gate" (`heads.fusion.fuse`).
        p: order of the norm of the contributions (theta), for "mnl".
        penalty: Lambda >= 0, weight of the regulariser R_p, for "mnl". The default suits 2 classes. With
            more classes the blocks are larger, so a smaller penalty has the same effect.
        learning_rate: step size of Adam, > 0.
        epochs: passes over the items, at least 1.
        batch_size: items a step. An epoch leaves out the items that do not fill its last batch.
        seed: seed of the items' order. Call `keras.utils.set_random_seed` before the sub-networks are
            made to fix the initial weights too.
        after_epoch: called with the number of each epoch, from 1, and the model.

    Returns:
        (model, contributions). The model maps {modality: inputs} to the head's outputs, among them
        `keys.FUSED_LOGITS` [batch, K]. The contributions are [epochs, M]: those of each modality after
        each epoch (see `contributions`).

    Raises:
        UserError: the name of the head is unknown.

    Examples:
        One modality shows the class, the other is noise:

        >>> import keras
        >>> import numpy as np
        >>> import huse_tf
        >>> keras.utils.set_random_seed(0)
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, 200)
        >>> features = {
        ...     "sound": (labels[:, None] + rng.normal(0, 0.1, (200, 4))).astype("float32"),
        ...     "noise": rng.normal(size=(200, 4)).astype("float32"),
        ... }
        >>> def network():
        ...     inputs = keras.Input((4,))
        ...     return keras.Model(inputs, keras.layers.Dense(8, activation="relu")(inputs))
        >>> model, contributions = huse_tf.train_fused(
        ...     {name: network() for name in features}, features, labels, num_classes=2,
        ...     learning_rate=0.02, epochs=5, batch_size=50,
        ... )
        >>> contributions.shape
        (5, 2)
        >>> sound, noise = contributions[-1]
        >>> bool(sound > noise)
        True
        >>> model(features)["fused_logits"].shape
        TensorShape([200, 2])
    """
    model = fused_model(sub_networks, num_classes, fusion, p)
    trainer = Trainer(model, fused_objective(fusion, p, penalty))
    trainer.compile(optimizer=keras.optimizers.Adam(learning_rate))
    weights = (labels >= 0).astype(np.float32)
    items = {**features, keys.LABEL: labels.clip(0).astype(np.int32), keys.WEIGHT: weights}
    by_epoch = []
    for epoch in train_epochs(trainer, items, epochs=epochs, batch_size=batch_size, seed=seed):
        by_epoch.append(contributions(model, features))
        if after_epoch is not None:
            after_epoch(epoch, model)
    return model, np.stack(by_epoch)


def contributions(model: keras.Model, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """[M] float32: each modality's contribution to the fused logits, averaged over n items.

    Args:
        model: a model from `train_fused`.
        features: modality -> [n, ...] inputs of the items.
    """
    shares = outputs_of(model, features)[keys.MODALITY_WEIGHTS]
    arrays = list(features.values())
    if len(shares) > len(arrays[0]):  # a row for each step of a sequence, also where it has ended
        shares = shares[np.any([np.any(each, axis=-1) for each in arrays], axis=0).reshape(-1)]
    return shares.mean(axis=0)


def accuracy(model: keras.Model, features: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
    """The share of n items, in [0, 1], whose highest fused logit is that of their class.

    Args:
        model: a model from `train_fused`.
        features: modality -> [n, ...] inputs of the items.
        labels: [n] class ids; or [n, steps], -1 where a sequence has ended.
    """
    found = outputs_of(model, features)[keys.FUSED_LOGITS].argmax(axis=1)
    wanted = labels.reshape(-1)
    return float(np.mean((found == wanted)[wanted >= 0]))


def outputs_of(model: keras.Model, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs of a model by key, a row for each item, dropout off.

    Args:
        model: a model from `train_fused`.
        features: modality -> [n, ...] inputs of the items.
    """
    # Compiled, which `models.run_model` is not: recurrent networks are slow step by step.
    inputs = {name: features[name] for name in model.input}
    count = len(next(iter(inputs.values())))
    batches = [
        model.predict_on_batch({k: v[start : start + _A_BATCH] for k, v in inputs.items()})
        for start in range(0, count, _A_BATCH)
    ]
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
