"""Any number of modalities from Python: arrays and sub-networks in, a fused model out.

The commands know images and text columns (`--method=modality_weights`); this is for all others.
`benchmarks/modality_weights.py` and `benchmarks/planted_modalities.py` show it at work.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from huse_tf import keys
from huse_tf.heads.sub_networks import fused_model
from huse_tf.methods.fused_objective import fused_objective
from huse_tf.models.inference import run_model
from huse_tf.training.trainer import Trainer


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
) -> tuple[keras.Model, np.ndarray]:
    """Trains sub-networks and a fusion head together, by Adam.

    Args:
        sub_networks: modality -> model of one input and one output, features [batch, dim_m].
        features: modality -> [n, ...] inputs of n items, each of which has all modalities.
        labels: [n] class ids.
        num_classes: K.
        fusion, p: as for `heads.sub_networks.fused_model`.
        penalty: Lambda, weight of R_p, for "mnl": on the scale of --fusion_penalty, for 2 classes; more
            classes have larger blocks, and bear less.
        learning_rate, epochs, batch_size: of training; what is over at an epoch's end is left out.
        seed: of the order. The head's first weights come from Keras's own generator
            (`keras.utils.set_random_seed`).

    Returns:
        (model, contributions [epochs, M] after each epoch; see `contributions`).
    """
    model = fused_model(sub_networks, num_classes, fusion, p)
    trainer = Trainer(model, fused_objective(fusion, p, penalty))
    trainer.compile(optimizer=keras.optimizers.Adam(learning_rate))
    count = len(labels)
    items = {**features, keys.LABEL: labels.astype(np.int32), keys.WEIGHT: np.ones(count, "f4")}
    batch_size = min(batch_size, count)
    step, generator = tf.function(trainer.train_step), np.random.default_rng(seed)
    by_epoch = []
    for _ in range(epochs):
        order = generator.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            step({key: tf.constant(values[rows]) for key, values in items.items()})
        by_epoch.append(contributions(model, features))
    return model, np.stack(by_epoch)


def contributions(model: keras.Model, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """[M] how much each modality contributes, as mean over these items.

    Args:
        model: of `train_fused`.
        features: modality -> [n, ...].
    """
    return run_model(model, features)[keys.MODALITY_WEIGHTS].mean(axis=0)


def accuracy(model: keras.Model, features: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
    """Share of items whose most probable class by all modalities is theirs; arguments as above."""
    return float(np.mean(run_model(model, features)[keys.FUSED_LOGITS].argmax(axis=1) == labels))
