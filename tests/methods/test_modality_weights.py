import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.heads.sub_networks import fused_model
from huse_tf.losses.block_norms import BlockPenalty
from huse_tf.methods.modality_weights import ModalityWeights
from huse_tf.spec import DataSpec, FeatureSpec

SMALL = {"embedding_dim": 8, "image_layers": (8,), "text_layers": (8,)}


@pytest.fixture(autouse=True)
def seed():
    """Of the weights: a few units in some random draws are all dead for an item."""
    keras.utils.set_random_seed(0)


def spec():
    return DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, 1 - np.eye(3, dtype=np.float32))


def features(rng, count=6):
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
    }


@pytest.mark.parametrize("fusion", ["mnl", "softmax", "gate"])
def test_every_head_learns_along_with_the_towers(rng, fusion):
    """The fused cross-entropy alone has a gradient in both towers and in the head."""
    method = ModalityWeights.of(fusion=fusion, **SMALL)
    model, objective = method.build_model(spec()), method.build_objective(spec())
    batch = {key: tf.ones(6) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)} | {
        keys.LABEL: tf.constant([0, 1, 2, 0, 1, 2])
    }
    with tf.GradientTape() as tape:
        outputs = model(features(rng))
        loss = objective.terms["fused_classification"](outputs, batch)
    gradients = tape.gradient(loss, model.trainable_variables)
    reached = {
        variable.path.split("/")[0]
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is not None and np.abs(gradient).max() > 0
    }
    assert any("image_tower" in path for path in reached)
    assert any("text_tower" in path for path in reached)
    assert any(path.startswith("fusion_") for path in reached)
    assert ("block_penalty" in objective.terms) == (fusion == "mnl")


def test_fused_logits_see_both_modalities(rng):
    model, items = ModalityWeights.of(**SMALL).build_model(spec()), features(rng)
    base = model(items)[keys.FUSED_LOGITS]
    for key in items:
        moved = model({**items, key: items[key] + 1})[keys.FUSED_LOGITS]
        assert np.abs(moved - base).max() > 1e-3


def test_the_penalty_has_its_weight():
    weights = ModalityWeights.of(fusion_penalty=0.3).build_objective(spec()).weights
    assert weights["block_penalty"] == 0.3
    assert weights["fused_classification"] == 1


def test_the_same_fusion_has_the_same_penalty_from_python(rng):
    """Whatever the size of the features that the blocks take in: one Lambda means one thing.

    The sub-networks of the other are the towers, whose embeddings both heads see at length 1 in the end.
    """
    model = ModalityWeights.of(**SMALL).build_model(spec())
    towers = {name: model.get_layer(f"{name}_tower") for name in (keys.IMAGE, keys.TEXT)}
    length = 8**0.5  # Before its first step the normalisation over the batch divides by this.
    scaled = {name: keras.Model(each.input, each.output * length) for name, each in towers.items()}
    other = fused_model(scaled, 3)
    for place in (0, 1):
        kernel = model.get_layer(f"fusion_block_{place}").kernel
        other.get_layer(f"fusion_block_{place}").kernel.assign(kernel * length)
    items = features(rng)
    mine, theirs = (
        model(items),
        other({name: items[keys.features(name)] for name in (keys.IMAGE, keys.TEXT)}),
    )
    np.testing.assert_allclose(mine[keys.FUSED_LOGITS], theirs[keys.FUSED_LOGITS], atol=1e-4)
    penalties = [float(BlockPenalty(1.0)(outputs, {})) for outputs in (mine, theirs)]
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-4)


@pytest.mark.parametrize("setting", ["fusion_p", "fusion_penalty"])
def test_settings_of_another_head_are_refused(setting):
    method = ModalityWeights.of(fusion="gate", **{setting: 1.5})
    with pytest.raises(UserError, match=f"--{setting} is a setting of --fusion=mnl"):
        method.build_objective(spec())


def spec_of_fields():
    """Two text columns of 4 numbers."""
    return dataclasses.replace(spec(), text=FeatureSpec((8,), fields=2))


def features_of_fields(rng):
    """Six items; the second lacks the first column, the third the other."""
    items = features(rng) | {keys.TEXT_FEATURES: rng.normal(size=(6, 8)).astype(np.float32)}
    items[keys.TEXT_FEATURES][1, :4] = 0
    items[keys.TEXT_FEATURES][2, 4:] = 0
    return items


@pytest.mark.parametrize("fusion", ["mnl", "softmax", "gate"])
def test_text_columns_are_modalities_with_towers_of_their_own(rng, fusion):
    method = ModalityWeights.of(fusion=fusion, **SMALL)
    model, items = method.build_model(spec_of_fields()), features_of_fields(rng)
    base = model(items)
    assert base[keys.MODALITY_WEIGHTS].shape == (6, 3)
    for columns in (slice(0, 4), slice(4, 8)):
        other = {**items, keys.TEXT_FEATURES: items[keys.TEXT_FEATURES].copy()}
        other[keys.TEXT_FEATURES][0, columns] += 1
        moved = np.abs(model(other)[keys.FUSED_LOGITS] - base[keys.FUSED_LOGITS]).max(axis=1)
        assert moved[0] > 1e-4
        np.testing.assert_array_equal(moved[1:], 0)
    batch = {key: tf.ones(6) for key in (keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK)} | {
        keys.LABEL: tf.constant([0, 1, 2, 0, 1, 2])
    }
    with tf.GradientTape() as tape:
        loss = method.build_objective(spec_of_fields()).terms["fused_classification"](
            model(items), batch
        )
    gradients = tape.gradient(loss, model.trainable_variables)
    reached = {
        variable.path.split("/")[0].rsplit("_hidden")[0]
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is not None and np.abs(gradient).max() > 0
    }
    assert {"image_tower", "text_field_0", "text_field_1"} <= reached
    assert "text_tower" not in reached


@pytest.mark.parametrize("fusion", ["mnl", "softmax"])
def test_an_empty_column_adds_nothing(rng, fusion):
    """With the other column's weights at zero, what is left of the second item is its image."""
    model = ModalityWeights.of(fusion=fusion, **SMALL).build_model(spec_of_fields())
    for weight in model.weights:
        if weight.path.endswith("bias"):
            weight.assign(tf.ones_like(weight))
    items = features_of_fields(rng)
    whole = model(items)[keys.FUSED_LOGITS][1]
    for weight in model.get_layer("text_field_0").weights:
        weight.assign(weight * 3 + 1)
    np.testing.assert_array_equal(model(items)[keys.FUSED_LOGITS][1], whole)
    assert np.abs(model(items)[keys.FUSED_LOGITS][0] - whole).max() > 1e-4


def test_the_texts_embedding_is_of_all_columns(rng):
    model, items = (
        ModalityWeights.of(**SMALL).build_model(spec_of_fields()),
        features_of_fields(rng),
    )
    base = model(items)[keys.TEXT_EMBEDDING]
    for columns in (slice(0, 4), slice(4, 8)):
        other = {**items, keys.TEXT_FEATURES: items[keys.TEXT_FEATURES].copy()}
        other[keys.TEXT_FEATURES][:, columns] += 1
        assert np.abs(model(other)[keys.TEXT_EMBEDDING] - base).max(axis=1).min() > 1e-4
