"""Methods that learn embeddings only: what moves them, what does not, and that they find pairs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.methods.adamine import AdaMine
from huse_tf.methods.base import DataSpec, FeatureSpec
from huse_tf.methods.clip import Clip
from huse_tf.methods.siglip import SigLip
from huse_tf.methods.triplet import Triplet
from huse_tf.methods.vse_pp import VsePp
from huse_tf.training.trainer import Trainer

SMALL = {"image_layers": (16,), "text_layers": (16,), "dropout": 0.0, "input_dropout": 0.0}
PROBED = (AdaMine, Clip, SigLip, Triplet, VsePp)


def make_spec():
    return DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 4, 1 - np.eye(4, dtype=np.float32))


def make_batch(count=12):
    rng = np.random.default_rng(4)
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
        keys.LABEL: (np.arange(count) % 4).astype(np.int32),
        keys.PRODUCT: np.arange(count, dtype=np.int32),
        **{k: np.ones(count, np.float32) for k in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }


def build(kind, **settings):
    keras.utils.set_random_seed(1)
    method = kind(embedding_dim=8, **SMALL, **settings)
    return method.build_model(make_spec()), method.build_objective(make_spec())


def features(batch):
    return {key: batch[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}


@pytest.mark.parametrize("kind", PROBED)
def test_probes_do_not_move_the_embeddings_nor_these_the_probes(kind):
    model, objective = build(kind)
    batch = make_batch()
    targets = {key: tf.constant(value) for key, value in batch.items()}
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(features(batch))
        losses = {name: term(outputs, targets) for name, term in objective.terms.items()}
    moved_by = {
        name: {
            variable.path
            for variable in model.trainable_variables
            if (gradient := tape.gradient(loss, variable.value)) is not None
            and np.abs(gradient).max() > 0
        }
        for name, loss in losses.items()
    }
    probes = {v.path for v in model.trainable_variables if "classifier" in v.path}
    assert moved_by.pop("classification") == probes
    assert len(probes) == 4
    others = set.union(*moved_by.values())
    assert others == {variable.path for variable in model.trainable_variables} - probes


def test_the_temperature_starts_where_it_is_set_and_is_bounded():
    """1 / .07 and 1 / .1 as in the papers; CLIP's scale is cut at 100, a temperature of .01."""
    batch = make_batch(3)
    for kind, temperature, expected in (
        (Clip, 0.07, 1 / 0.07),
        (Clip, 0.01, 100.0),
        (SigLip, 0.1, 10.0),
    ):
        outputs = build(kind, temperature=temperature)[0](features(batch))
        np.testing.assert_allclose(outputs[keys.LOGIT_SCALE], [[expected]] * 3, rtol=1e-4)
    np.testing.assert_allclose(outputs[keys.LOGIT_BIAS], [[-10.0]] * 3, rtol=1e-6)
    model, _ = build(Clip)
    (log_scale,) = (v for v in model.trainable_variables if "log_scale" in v.path)
    log_scale.assign([[9.0]])
    np.testing.assert_array_equal(model(features(batch))[keys.LOGIT_SCALE], [[100.0]] * 3)


def train(kind, steps=60, **settings):
    """Cosines [12, 12] of images and texts before and after."""
    model, objective = build(kind, **settings)
    trainer = Trainer(model, objective)
    trainer.compile(optimizer=keras.optimizers.Adam(0.01))
    batch = make_batch()
    step = tf.function(trainer.train_step)
    targets = {key: tf.constant(value) for key, value in batch.items()}

    def cosines():
        outputs = model(features(batch))
        return outputs[keys.IMAGE_EMBEDDING].numpy() @ outputs[keys.TEXT_EMBEDDING].numpy().T

    before = cosines()
    for _ in range(steps):
        step(targets)
    return before, cosines()


def recall(cosines):
    return np.mean(cosines.argmax(axis=1) == np.arange(len(cosines)))


@pytest.mark.parametrize("kind", [AdaMine, Clip, SigLip, VsePp])
def test_an_item_finds_its_other_half(kind):
    before, after = train(kind)
    assert recall(before) < 0.4
    assert recall(after) > 0.8


@pytest.mark.parametrize("kind", [Triplet, Clip, SigLip])
def test_an_item_finds_its_class(kind):
    """Items i and j are of one class if i - j is a multiple of 4."""
    settings = {} if kind is Triplet else {"positives": "class"}
    before, after = train(kind, **settings)
    same = (np.arange(12)[:, None] - np.arange(12)) % 4 == 0
    assert before[same].mean() - before[~same].mean() < 0.2
    assert after[same].mean() - after[~same].mean() > 0.4
