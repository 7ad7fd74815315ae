"""Methods that learn embeddings only: what moves them, what does not, and that they find pairs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.methods.adamine import AdaMine
from huse_tf.methods.clip import Clip
from huse_tf.methods.siglip import SigLip
from huse_tf.methods.triplet import Triplet
from huse_tf.methods.vse_pp import VsePp
from huse_tf.models import probes
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer

SMALL = {"image_layers": (16,), "text_layers": (16,), "dropout": 0.0, "input_dropout": 0.0}
EMBEDDINGS = (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)
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
        keys.TITLE: np.arange(count, dtype=np.int32),
        **{k: np.ones(count, np.float32) for k in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)},
    }


def build(kind, **settings):
    keras.utils.set_random_seed(1)
    method = kind.of(embedding_dim=8, **SMALL, **settings)
    return method.build_model(make_spec()), method.build_objective(make_spec())


def features(batch):
    return {key: batch[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}


@pytest.mark.parametrize("kind", PROBED)
def test_probes_are_solved_for_and_not_trained(kind):
    """Of the items that there are: what stands at missing ones does not matter."""
    model, objective = build(kind)
    assert not any("classifier" in v.path for v in model.trainable_variables)
    assert "classification" not in objective.terms
    batch = make_batch()
    batch[keys.IMAGE_MASK][[2, 5]] = 0
    embeddings = [model(features(batch))[key].numpy() for key in EMBEDDINGS]
    method = kind.of(embedding_dim=8, **SMALL)
    method.refit(model, batch)
    first = model(features(batch))
    for before, key in zip(embeddings, EMBEDDINGS, strict=True):
        np.testing.assert_array_equal(first[key], before)
    batch[keys.IMAGE_FEATURES][[2, 5]] = 99
    method.refit(model, batch)
    kernels = [model.get_layer(f"{name}_classifier").kernel.numpy() for name in ("image", "text")]
    logits = model(features(batch))
    there = batch[keys.IMAGE_MASK] > 0
    np.testing.assert_array_equal(logits[keys.IMAGE_LOGITS][there], first[keys.IMAGE_LOGITS][there])
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    for key in (keys.IMAGE_LOGITS, keys.TEXT_LOGITS):
        right = logits[key].numpy().argmax(axis=1) == batch[keys.LABEL]
        assert right[there].mean() > 0.5, key  # chance is .25


def test_a_probe_of_many_items_takes_some_of_all(monkeypatch):
    """With room for 4 of 12, every class has one, as evenly drawn as can be."""
    monkeypatch.setattr(probes, "MOST_ROWS", 4)
    seen = []
    monkeypatch.setattr(
        probes,
        "linear_probe",
        lambda rows, labels, weights, classes: (
            seen.append((rows, labels)) or (np.ones((8, classes)), np.ones(classes))
        ),
    )
    model, _ = build(Clip)
    batch = make_batch()
    Clip.of(embedding_dim=8, **SMALL).refit(model, batch)
    (images, labels), (texts, _) = seen
    np.testing.assert_array_equal(labels, batch[keys.LABEL][[0, 3, 7, 11]])
    outputs = model(features(batch))
    np.testing.assert_allclose(
        images, outputs[keys.IMAGE_EMBEDDING].numpy()[[0, 3, 7, 11]], atol=1e-6
    )
    np.testing.assert_allclose(
        texts, outputs[keys.TEXT_EMBEDDING].numpy()[[0, 3, 7, 11]], atol=1e-6
    )


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


@pytest.mark.parametrize("log_scale", [3.0, 9.0])
def test_a_scale_beyond_its_bound_can_come_back(log_scale):
    """The gradient of the scale is that of exp, at and beyond the bound too."""
    model, _ = build(Clip, temperature=0.01)
    (variable,) = (v for v in model.trainable_variables if "log_scale" in v.path)
    variable.assign([[log_scale]])
    with tf.GradientTape() as tape:
        scale = model(features(make_batch(3)))[keys.LOGIT_SCALE][0, 0]
    (gradient,) = np.ravel(tape.gradient(scale, variable.value))
    assert gradient == pytest.approx(np.exp(log_scale), rel=1e-4)
