"""Properties of the trainer. Public re-implementations of HUSE violate most of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import distribute, keys
from huse_tf.methods.huse import Huse
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer

CLASSES = 4
SMALL = {
    "embedding_dim": 8,
    "image_layers": (16, 16),
    "text_layers": (16,),
    "dropout": 0.0,
    "input_dropout": 0.0,
}


def make_spec():
    distances = np.random.default_rng(5).uniform(0.2, 1.0, (CLASSES, CLASSES)).astype(np.float32)
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    return DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), CLASSES, distances)


def make_batch(rng, count=12):
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
        keys.LABEL: (np.arange(count) % CLASSES).astype(np.int32),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
    }


def make_incomplete_batch(rng):
    """Items without image in the first half of the batch, and without text in the second half."""
    batch = make_batch(rng)
    batch[keys.WEIGHT] = rng.uniform(0.5, 3, 12).astype(np.float32)
    batch[keys.IMAGE_MASK][[0, 1, 4]] = 0
    batch[keys.TEXT_MASK][[7, 11]] = 0
    return batch


def make_trainer(optimizer="sgd", learning_rate=0.1, **settings):
    keras.utils.set_random_seed(3)
    method, spec = Huse.of(**{**SMALL, **settings}), make_spec()
    trainer = Trainer(method.build_model(spec), method.build_objective(spec))
    optimizers = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
    trainer.compile(optimizer=optimizers[optimizer](learning_rate))
    return trainer


def weights_after(steps, batches, trainer):
    for batch in batches[:steps]:
        trainer.train_step({key: tf.constant(value) for key, value in batch.items()})
    return [variable.numpy() for variable in trainer.trainable_variables]


@pytest.mark.parametrize("weight", ["classification_weight", "graph_weight", "gap_weight"])
def test_every_loss_reaches_the_weights_of_both_towers(rng, weight):
    batch = make_batch(rng)
    base = make_trainer()
    names = [variable.path for variable in base.trainable_variables]
    one = weights_after(1, [batch], base)
    other = weights_after(1, [batch], make_trainer(**{weight: 5.0}))
    moved = {n for n, a, b in zip(names, one, other, strict=True) if np.abs(a - b).max() > 1e-6}
    for tower in ("image_tower", "text_tower"):
        kernels = {n for n in names if tower in n and "kernel" in n}
        assert kernels
        assert kernels <= moved


def test_weights_of_zero_leave_only_classification(rng):
    batch = make_batch(rng)
    both = make_trainer(graph_weight=0.0, gap_weight=0.0)
    logs = both.train_step({key: tf.constant(value) for key, value in batch.items()})
    assert float(logs["loss/total"]) == pytest.approx(float(logs["loss/classification"]))
    assert float(logs["loss/semantic_graph"]) > 0  # still reported


def test_report_holds_the_terms_before_weighting(rng):
    trainer = make_trainer(classification_weight=2.0, graph_weight=3.0, gap_weight=4.0)
    logs = trainer.train_step({k: tf.constant(v) for k, v in make_batch(rng).items()})
    expected = (
        2 * float(logs["loss/classification"])
        + 3 * float(logs["loss/semantic_graph"])
        + 4 * float(logs["loss/cross_modal_gap"])
    )
    assert float(logs["loss/total"]) == pytest.approx(expected, rel=1e-6)


def test_optimizer_slots_persist(rng):
    """Two Adam steps of one trainer differ from one step each of two new optimizers."""
    batch = make_batch(rng)
    kept = make_trainer("adam", 0.01)
    weights_after(2, [batch, batch], kept)
    fresh = make_trainer("adam", 0.01)
    weights_after(1, [batch], fresh)
    fresh.compile(optimizer=keras.optimizers.Adam(0.01))
    weights_after(1, [batch], fresh)
    gap = max(
        np.abs(a - b).max() for a, b in zip(kept.get_weights(), fresh.get_weights(), strict=True)
    )
    assert gap > 1e-4
    assert int(kept.optimizer.iterations) == 2


def test_fit_runs_the_same_step(rng):
    """On one device Keras's own `fit` runs train_step too."""
    batch = make_batch(rng)
    by_hand = weights_after(1, [batch], make_trainer())
    trainer = make_trainer()
    trainer.fit(tf.data.Dataset.from_tensors(batch), shuffle=False, verbose=0)
    for a, b in zip(by_hand, trainer.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("make", [make_batch, make_incomplete_batch])
def test_two_replicas_equal_one(rng, mirrored, make):
    """Two SGD steps on two logical devices equal those on one device: pair terms see the global batch.

    The pair loss is weighted high: without the gather the weights are off by about 1e-3, without
    the division by the replica count by more. Masks and weights differ between the replicas, so
    that a mean over each replica's own rows would be another.
    """
    batches = [make(rng), make(rng)]
    settings = {"graph_weight": 20.0, "gap_weight": 2.0}
    one = weights_after(2, batches, make_trainer(**settings))
    with mirrored.scope():
        trainer = make_trainer(**settings)
    step = distribute.step_function(mirrored, trainer.train_step)
    dataset = tf.data.Dataset.from_tensor_slices(
        {key: np.stack([b[key] for b in batches]) for key in batches[0]}
    )
    logs = [step(batch) for batch in distribute.distribute_batches(mirrored, dataset)]
    for a, b in zip(one, trainer.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-6)
    alone = make_trainer(**settings).train_step({k: tf.constant(v) for k, v in batches[0].items()})
    for name, value in alone.items():
        assert float(logs[0][name]) == pytest.approx(float(value), rel=1e-5)
