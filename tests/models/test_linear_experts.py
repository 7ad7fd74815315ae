"""Pools of towers and regressions: their weights, by hand and against a grid, and what they leave alone."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.huse_plus import HusePlus
from huse_tf.models.inference import run_model
from huse_tf.models.linear_experts import pool_weights, takes_experts
from huse_tf.spec import DataSpec, FeatureSpec

K = 4
SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), K, 1 - np.eye(K, dtype=np.float32))
SMALL = {"embedding_dim": 7, "class_dim": 8, "image_layers": (16,), "text_layers": (16,)}
POOLS = ("image_pool", "text_pool", "both_pool")


def items(seed, count=80, noise=0.7):
    rng, centres = np.random.default_rng(seed), np.random.default_rng(9).normal(size=(K, 11))
    labels = (np.arange(count) % K).astype(np.int32)
    rows = (centres[labels] + noise * rng.normal(size=(count, 11))).astype(np.float32)
    return {
        keys.IMAGE_FEATURES: rows[:, :6],
        keys.TEXT_FEATURES: rows[:, 6:],
        **{
            key: np.ones(count, np.float32)
            for key in (keys.IMAGE_MASK, keys.TEXT_MASK, keys.WEIGHT)
        },
        keys.LABEL: labels,
    }


def settled(train=None, validation=None, **settings):
    keras.utils.set_random_seed(0)
    method = HusePlus.of(**SMALL, **settings)
    model = method.build_model(SPEC)
    train, validation = train or items(0), validation or items(1)
    return method.settle(SPEC, model, train, validation), model


def test_the_weights_are_the_best_of_a_grid():
    """Two noisy experts: no pair of weights on a fine grid makes the labels more likely."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    logits = np.stack([2 * np.eye(3)[labels] + s * rng.normal(size=(60, 3)) for s in (1.5, 2.5)])
    weights = rng.uniform(0.5, 2, 60)

    def likelihood(first, second):
        log_p = log_softmax(first * logits[0] + second * logits[1], axis=1)
        return np.average(log_p[np.arange(60), labels], weights=weights)

    found = pool_weights(logits, labels, weights)
    grid = np.linspace(0, 2, 81)
    best = max(likelihood(a, b) for a in grid for b in grid)
    assert likelihood(*found) >= best - 1e-6
    assert min(found) > 0


def test_one_expert_by_hand():
    """Right in three items of four by a margin of 2: w · 2 = log 3."""
    logits = np.array([[[2.0, 0.0]] * 4])
    found = pool_weights(logits, np.array([0, 0, 0, 1]), np.ones(4))
    assert found == pytest.approx([np.log(3) / 2], abs=1e-4)
    by_weight = pool_weights(logits[:, 2:], np.array([0, 1]), np.array([3.0, 1.0]))
    assert by_weight == pytest.approx(found, abs=1e-4)


def test_sigmoids_by_hand():
    """One class, right in three of four items by a logit of 2."""
    labels = np.array([[1.0], [1.0], [1.0], [0.0]])
    found = pool_weights(np.full((1, 4, 1), 2.0), labels, np.ones(4))
    assert found == pytest.approx([np.log(3) / 2], abs=1e-4)


def test_before_it_is_settled_the_towers_speak_alone():
    model = HusePlus.of(**SMALL).build_model(SPEC)
    found = run_model(model, items(0))
    for modality in (keys.IMAGE, keys.TEXT):
        np.testing.assert_allclose(
            found[keys.logits(modality)], found[keys.tower_logits(modality)], atol=1e-6
        )
    mean = (found[keys.IMAGE_TOWER_LOGITS] + found[keys.TEXT_TOWER_LOGITS]) / 2
    np.testing.assert_allclose(found[keys.FUSED_LOGITS], mean, atol=1e-5)


def test_regressions_make_up_for_towers_that_learned_nothing():
    """Untrained towers get little weight; the scores are then those of the regressions."""
    method, model = settled()
    new = items(2)
    found = run_model(model, new)
    for key in (keys.IMAGE_LOGITS, keys.TEXT_LOGITS, keys.FUSED_LOGITS):
        assert (found[key].argmax(axis=1) == new[keys.LABEL]).mean() > 0.6
    tower = found[keys.TEXT_TOWER_LOGITS].argmax(axis=1)
    assert (tower == new[keys.LABEL]).mean() < 0.6
    assert method.experts.text_pool[1] > 0


def test_the_scores_are_the_weighted_sums():
    method, model = settled()
    new = items(2)
    found = run_model(model, new)
    unit = new[keys.TEXT_FEATURES] / np.linalg.norm(new[keys.TEXT_FEATURES], axis=1, keepdims=True)
    layer = model.get_layer("text_regression")
    regression = unit @ layer.kernel.numpy() + layer.bias.numpy()
    tower, linear = method.experts.text_pool
    expected = tower * found[keys.TEXT_TOWER_LOGITS] + linear * regression
    np.testing.assert_allclose(found[keys.TEXT_LOGITS], expected, atol=1e-4)


def test_a_second_call_chooses_the_same():
    method, model = settled()
    before = run_model(model, items(2))[keys.FUSED_LOGITS]
    assert HusePlus.of(**SMALL).settle(SPEC, model, items(0), items(1)) == method
    np.testing.assert_array_equal(run_model(model, items(2))[keys.FUSED_LOGITS], before)


def test_what_is_settled_holds_for_another_training():
    """`refit` solves on other items, with the penalties and weights that were chosen; before, it does nothing."""
    method, _ = settled()
    model = method.build_model(SPEC)
    HusePlus.of(**SMALL).refit(model, items(3))
    assert (model.get_layer("text_regression").bias.numpy() == 0).all()
    method.refit(model, items(3))
    assert model.get_layer("text_pool").kernel.numpy().ravel() == pytest.approx(
        method.experts.text_pool
    )
    other, again = method.build_model(SPEC), items(4)
    method.refit(other, again)
    kernels = [each.get_layer("text_regression").kernel.numpy() for each in (model, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_a_weight_for_each_expert():
    with pytest.raises(
        UserError, match=r"--both_pool.*Expected 5 numbers, or none\. Received: 0\.5,1\.0"
    ):
        HusePlus.of(**SMALL, both_pool=(0.5, 1.0)).build_model(SPEC)


def test_weights_that_are_given_are_kept():
    method, model = settled(text_pool=(0.5, 0.25), text_c=3.0)
    assert method.experts.text_pool == (0.5, 0.25) and method.experts.text_c == 3.0
    assert model.get_layer("text_pool").kernel.numpy().ravel().tolist() == [0.5, 0.25]


def test_items_of_classes_without_training_items_do_not_count():
    """No regression can find them, so they would silence it."""
    train = {key: value[np.arange(80) % K != 3] for key, value in items(0).items()}
    validation = items(1)
    known = {key: value[np.arange(80) % K != 3] for key, value in validation.items()}
    found, expected = (settled(train, each)[0].experts for each in (validation, known))
    for pool in POOLS:
        assert getattr(found, pool) == pytest.approx(getattr(expected, pool), abs=1e-5)


@pytest.mark.parametrize("missing", [keys.IMAGE, keys.TEXT])
def test_a_catalogue_of_one_modality(missing):
    train, validation = items(0), items(1)
    for each in (train, validation):
        each[keys.mask(missing)][:] = 0
        each[keys.features(missing)][:] = 0
    experts = settled(train, validation)[0].experts
    pools = {keys.IMAGE: experts.image_pool, keys.TEXT: experts.text_pool}
    assert pools[missing] == (1.0, 0.0)
    assert experts.both_pool == (0.5, 0.0, 0.5, 0.0, 0.0)
    (other,) = {keys.IMAGE, keys.TEXT} - {missing}
    assert pools[other][1] > 0


def test_several_labels():
    spec = dataclasses.replace(SPEC, multi_label=True)
    train, validation, new = (items(seed) for seed in range(3))
    for each in (train, validation, new):
        each[keys.LABELS] = np.eye(K, dtype=np.float32)[each.pop(keys.LABEL)]
    method = HusePlus.of(**SMALL)
    model = method.build_model(spec)
    method.settle(spec, model, train, validation)
    found = run_model(model, new)[keys.FUSED_LOGITS]
    assert (found.argmax(axis=1) == new[keys.LABELS].argmax(axis=1)).mean() > 0.6


def test_without_vectors_or_without_the_setting_the_towers_are_alone():
    words = dataclasses.replace(SPEC, text=FeatureSpec((9,), vocabulary_size=20))
    assert takes_experts(SPEC) and not takes_experts(words)
    for spec, settings in ((words, {}), (SPEC, {"linear_experts": False})):
        method = HusePlus.of(**SMALL, **settings)
        model = method.build_model(spec)
        assert keys.FUSED_LOGITS not in model.output
        assert method.settle(spec, model, items(0), items(1)) is method
        method.refit(model, items(0))
