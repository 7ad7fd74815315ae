import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.losses.one_hot_regression import OneHotRegression, ridge_classifier
from huse_tf.methods.dscmr import Dscmr
from huse_tf.models.two_tower import modality_model
from huse_tf.spec import DataSpec, FeatureSpec

SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, np.zeros((3, 3), np.float32))
SMALL = {"embedding_dim": 4, "image_layers": (8,), "text_layers": (8,)}


def build(**settings):
    keras.utils.set_random_seed(2)
    method = Dscmr.of(**{**SMALL, **settings})
    return method, method.build_model(SPEC)


def make_items(rng, count=12):
    ones = np.ones(count, np.float32)
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
        keys.IMAGE_MASK: ones.copy(),
        keys.TEXT_MASK: ones.copy(),
        keys.WEIGHT: ones.copy(),
        keys.LABEL: (np.arange(count) % 3).astype(np.int32),
    }


def gradients(method, model, items):
    """By path, of the variables that the objective teaches."""
    batch = {key: tf.constant(value) for key, value in items.items()}
    with tf.GradientTape() as tape:
        outputs = model({key: batch[key] for key in model.input})
        total, _ = method.build_objective(SPEC)(outputs, batch)
    variables = model.trainable_variables
    found = zip(variables, tape.gradient(total, variables), strict=True)
    return {v.path: g.numpy() for v, g in found if g is not None and np.abs(g).max() > 0}


def test_the_paper_s_preset():
    preset = Dscmr.preset
    assert (preset["learning_rate"], preset["beta_1"], preset["beta_2"]) == (1e-4, 0.5, 0.999)
    assert (preset["batch_size"], preset["epochs"]) == (100, 500)
    method = Dscmr()
    assert (method.towers.image_layers, method.towers.text_layers, method.embedding_dim) == (
        (2048,),
        (2048,),
        1024,
    )
    assert (method.j1_weight, method.j2_weight, method.j3_weight) == (1.0, 1e-3, 1e-1)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_both_modalities_pass_one_layer_and_one_classifier(rng, activation):
    """And the classifier sees the common representation before its norm."""
    _, model = build(last_activation=activation)
    items = make_items(rng)
    outputs = model({key: items[key] for key in model.input})
    shared, classifier = (
        model.get_layer(name) for name in ("shared_projection", "representation_classifier")
    )
    for name in (keys.IMAGE, keys.TEXT):
        hidden = model.get_layer(f"{name}_tower")(items[keys.features(name)])
        representation = hidden @ shared.kernel.numpy() + shared.bias.numpy()
        if activation == "relu":
            representation = np.maximum(representation, 0)
        np.testing.assert_allclose(outputs[keys.projection(name)], representation, atol=1e-5)
        logits = representation @ classifier.kernel.numpy() + classifier.bias.numpy()
        np.testing.assert_allclose(outputs[keys.logits(name)], logits, atol=1e-5)
        unit = representation / np.linalg.norm(representation, axis=1, keepdims=True)
        np.testing.assert_allclose(outputs[keys.embedding(name)], unit, atol=1e-5)
        embedding, _ = modality_model(model, name)(items[keys.features(name)])
        np.testing.assert_array_equal(embedding, outputs[keys.embedding(name)])


def test_the_weights_of_the_terms(rng):
    method, model = build(j1_weight=2.0, j2_weight=3.0, j3_weight=5.0)
    batch = {key: tf.constant(value) for key, value in make_items(rng).items()}
    outputs = model({key: batch[key] for key in model.input})
    total, report = method.build_objective(SPEC)(outputs, batch)
    expected = 2 * report["loss/j1"] + 3 * report["loss/j2"] + 5 * report["loss/j3"]
    assert float(total) == pytest.approx(float(expected), rel=1e-6)


def test_without_j1_nothing_teaches_classes(rng):
    """Then the towers learn from J2 and J3 only, so with those of weight 0 too, from nothing."""
    method, model = build(j1_weight=0.0, j2_weight=0.0, j3_weight=0.0)
    assert not gradients(method, model, make_items(rng))
    method, model = build(j1_weight=0.0)
    assert len(gradients(method, model, make_items(rng))) == len(model.trainable_variables)


@pytest.mark.parametrize("settings", [{"classifier": "closed_form"}, {"j1_weight": 0.0}])
def test_the_closed_form_of_all_training_items_becomes_the_classifier(rng, settings):
    method, model = build(**settings)
    assert not any("classifier" in v.path for v in model.trainable_variables)
    items = make_items(rng)
    items[keys.TEXT_MASK][:3] = 0
    outputs = model({key: items[key] for key in model.input})
    rows = [outputs[keys.IMAGE_PROJECTION].numpy(), outputs[keys.TEXT_PROJECTION].numpy()[3:]]
    labels = np.eye(3, dtype=np.float32)[[*items[keys.LABEL], *items[keys.LABEL][3:]]]
    expected = ridge_classifier(np.concatenate(rows), tf.constant(labels), tf.ones(21)).numpy()
    method.refit(model, items)
    outputs = model({key: items[key] for key in model.input})
    np.testing.assert_allclose(outputs[keys.IMAGE_LOGITS], rows[0] @ expected, atol=1e-4)


def test_a_trained_classifier_is_left_alone_by_refit(rng):
    method, model = build()
    before = [v.numpy() for v in model.variables]
    method.refit(model, make_items(rng))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="the same last width"):
        build(text_layers=(9,))
    with pytest.raises(UserError, match="--class_balance"):
        Dscmr().build_objective(SPEC, adjust_logits=True)


@pytest.mark.parametrize("solved", [{"classifier": "closed_form"}, {"j1_weight": 0.0}])
def test_a_classifier_that_is_solved_for_begins_nowhere(solved):
    with pytest.raises(UserError, match="--classifier_norm is where a trained classifier begins"):
        build(classifier_norm=2.0, **solved)


def test_of_several_labels_those_nearer_to_one_than_to_zero_are_told(rng):
    """The loss sees what is regressed, the sigmoid of the logits cuts it at the middle."""
    spec = dataclasses.replace(SPEC, multi_label=True)
    keras.utils.set_random_seed(2)
    method = Dscmr.of(**SMALL)
    model, items = method.build_model(spec), make_items(rng)
    items[keys.LABELS] = np.float32([[1, 1, 0], [0, 0, 1]] * 6)
    del items[keys.LABEL]
    classifier = model.get_layer("representation_classifier")
    outputs = model({key: items[key] for key in model.input})
    for name in (keys.IMAGE, keys.TEXT):
        regressed = classifier(outputs[keys.projection(name)]).numpy()
        told = tf.sigmoid(outputs[keys.logits(name)]).numpy() > 0.5
        np.testing.assert_array_equal(told, regressed > 0.5)
    tensors = {key: tf.constant(value) for key, value in items.items()}
    found = method.build_objective(spec).terms["j1"](outputs, tensors)
    plain = {
        keys.logits(name): classifier(outputs[keys.projection(name)])
        for name in (keys.IMAGE, keys.TEXT)
    }
    expected = OneHotRegression(3)({**outputs, **plain}, tensors)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
