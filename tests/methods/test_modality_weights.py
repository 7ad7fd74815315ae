import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.base import DataSpec, FeatureSpec
from huse_tf.methods.modality_weights import ModalityWeights

SMALL = {"embedding_dim": 8, "image_layers": (8,), "text_layers": (8,)}


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
    method = ModalityWeights(fusion=fusion, **SMALL)
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
    model, items = ModalityWeights(**SMALL).build_model(spec()), features(rng)
    base = model(items)[keys.FUSED_LOGITS]
    for key in items:
        moved = model({**items, key: items[key] + 1})[keys.FUSED_LOGITS]
        assert np.abs(moved - base).max() > 1e-3


def test_the_penalty_has_its_weight():
    weights = ModalityWeights(fusion_penalty=0.3).build_objective(spec()).weights
    assert weights["block_penalty"] == 0.3
    assert weights["fused_classification"] == 1


@pytest.mark.parametrize("setting", ["fusion_p", "fusion_penalty"])
def test_settings_of_another_head_are_refused(setting):
    method = ModalityWeights(fusion="gate", **{setting: 1.5})
    with pytest.raises(UserError, match=f"--{setting} is a setting of --fusion=mnl"):
        method.build_objective(spec())
