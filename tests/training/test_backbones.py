"""Learning rates, freezing, LoRA and stages of a network that is trained with its tower."""

import dataclasses

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import distribute, keys, models
from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.run_folder import RunFolder
from huse_tf.sections import TrainingConfig
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.towers.mlp import mlp_tower
from huse_tf.training import loop, warm_start
from huse_tf.training.backbones import backbones, layers_of, prepare, rates
from huse_tf.training.optimizers import make_optimizer
from huse_tf.training.trainer import Trainer

CONFIG = TrainingConfig(
    batch_size=8, epochs=3, learning_rate=1e-2, patience=0, monitor=("score",), strategy="one"
)
NAMES = ["block_0", "block_1", "block_2"]
SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, (1 - np.eye(3)).astype(np.float32) * 0.5)


def network():
    """A backbone of three layers."""
    inputs = keras.Input((6,))
    x = inputs
    for name in NAMES:
        x = keras.layers.Dense(8, activation="tanh", name=name)(x)
    return keras.Model(inputs, x, name="image_backbone")


def make(config=CONFIG):
    """A fresh, equal model with an image backbone, prepared."""
    keras.utils.set_random_seed(2)
    sizes = {"hidden": (), "embedding_dim": 8, "dropout": 0.0}
    image = mlp_tower(models.IMAGE_TOWER, SPEC.image, network=[network()], **sizes)
    text = mlp_tower(models.TEXT_TOWER, SPEC.text, **sizes)
    classifier = models.linear_classifier(3, 8, norm=4.0)
    model = models.two_tower_model(SPEC, image, text, classifier, classifier)
    prepare(model, config)
    return Trainer(model, Huse().build_objective(SPEC))


def ready(config, total_steps=10):
    """A trainer with the optimizers that the loop would give it."""
    trainer = make(config)
    trainer.compile(optimizer=make_optimizer(config, total_steps))
    for share, variables in rates(trainer.model, config).groups.items():
        scaled = dataclasses.replace(config, learning_rate=share * config.learning_rate)
        trainer.backbones.groups.append((make_optimizer(scaled, total_steps), variables))
    for optimizer, variables in trainer.groups():
        optimizer.build(variables)
    return trainer


def items(count=16):
    rng = np.random.default_rng(0)
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.normal(size=(count, 5)).astype(np.float32),
        keys.LABEL: (np.arange(count) % 3).astype(np.int32),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
    }


BATCH = {key: tf.constant(value) for key, value in items().items()}


def fit(folder, validate=None, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    task = loop.Task(lambda: make(config), items(), validate or (lambda model: {"score": 1.0}))
    return loop.fit(task, config, RunFolder(folder))


def weights_of(model):
    """Layer of the backbone -> its weights in a row."""
    (backbone,) = backbones(model)
    return {
        layer.name: np.concatenate([np.ravel(weight) for weight in layer.get_weights()])
        for layer in layers_of(backbone)
    }


class Moves:
    """Watches at each validation how far each layer of the backbone is from its start."""

    def __init__(self):
        self.before = weights_of(make().model)
        self.rows = []

    def __call__(self, model):
        self.rows.append(
            {k: float(np.abs(v - self.before[k]).max()) for k, v in weights_of(model).items()}
        )
        return {"score": float(len(self.rows))}


def test_the_layers_of_a_backbone_in_order():
    (backbone,) = backbones(make().model)
    assert [layer.name for layer in layers_of(backbone)] == NAMES


def test_shares_lie_evenly_on_a_logarithmic_scale():
    """By hand: the middle of 0.5 and 0.005 is 0.05."""
    config = dataclasses.replace(
        CONFIG, backbone_learning_rate=0.5, first_layer_learning_rate=0.005
    )
    groups = rates(make(config).model, config).groups
    found = {share: [v.path.split("/")[-2] for v in some] for share, some in groups.items()}
    assert found == {0.005: ["block_0"] * 2, 0.05: ["block_1"] * 2, 0.5: ["block_2"] * 2}
    assert rates(make().model, CONFIG).groups == {}  # all as the rest: one optimizer


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_share_scales_the_first_step(optimizer):
    """Also that of Adam, which does not depend on the length of the gradient, and its decay."""

    def moved(config):
        trainer = ready(config)
        before = weights_of(trainer.model)
        trainer.train_step(BATCH)
        after = weights_of(trainer.model)
        tower = trainer.model.get_layer(models.IMAGE_TOWER)
        head = tower.get_layer(f"{models.IMAGE_TOWER}_projection").kernel
        return {name: after[name] - before[name] for name in before}, head.numpy()

    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    whole, head = moved(config)
    part, same = moved(
        dataclasses.replace(config, backbone_learning_rate=0.5, first_layer_learning_rate=0.005)
    )
    for name, share in zip(NAMES, (0.005, 0.05, 0.5), strict=True):
        assert np.abs(whole[name]).max() > 1e-4
        np.testing.assert_allclose(part[name], share * whole[name], rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(head, same)


def test_frozen_layers_keep_their_weights():
    trainer = ready(dataclasses.replace(CONFIG, freeze_layers="block_[02]"))
    moves = Moves()
    trainer.train_step(BATCH)
    moves(trainer.model)
    assert [moves.rows[0][name] > 0 for name in NAMES] == [False, True, False]
    # The layers themselves stay trainable, so that another run can start from them.
    assert all(layer.trainable for layer in layers_of(backbones(trainer.model)[0]))


def test_the_backbone_rests_and_then_learns(tmp_path):
    moves = Moves()
    fit(tmp_path, moves, freeze_backbone_epochs=1, epochs=2)
    assert [max(row.values()) > 0 for row in moves.rows] == [False, True]


def test_a_backbone_that_begins_later_takes_a_whole_first_step():
    """Adam's first step has the length of the rate: its averages are corrected by its own steps."""
    trainer = ready(dataclasses.replace(CONFIG, optimizer="adam", freeze_backbone_epochs=1))
    moves = Moves()
    trainer.backbones.resting = True
    for _ in range(3):
        trainer.train_step(BATCH)
    trainer.backbones.resting = False
    trainer.train_step(BATCH)
    moves(trainer.model)
    assert max(moves.rows[0].values()) == pytest.approx(CONFIG.learning_rate, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"freeze_backbone_epochs": 1, "first_layer_learning_rate": 0.1, "backbone_learning_rate": 0.5},
        {"lora_rank": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_killed_run_goes_on_to_the_same_result(tmp_path, changes):
    def dies(at):
        calls = []

        def validate(model):
            calls.append(model)
            if len(calls) == at:
                raise RuntimeError("killed")
            return {"score": 1.0 + len(calls)}

        return validate

    whole = fit(tmp_path / "whole", dies(0), **changes)
    with pytest.raises(RuntimeError, match="killed"):
        fit(tmp_path / "cut", dies(2), **changes)
    again = fit(tmp_path / "cut", dies(0), **changes)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_lora_trains_factors_only_and_is_merged_when_saved(tmp_path):
    """The loaded model answers as the trained one, and a run can start from it."""
    config = dataclasses.replace(CONFIG, lora_rank=2)
    trainer = ready(config)
    model = trainer.model
    (backbone,) = backbones(model)
    assert [each.name for each in backbone.trainable_variables] == [
        "lora_kernel_a",
        "lora_kernel_b",
    ] * 3
    kernels = [layer._kernel.numpy() for layer in layers_of(backbone)]
    for _ in range(3):
        trainer.train_step(BATCH)
    for layer, before in zip(layers_of(backbone), kernels, strict=True):
        np.testing.assert_array_equal(layer._kernel.numpy(), before)
        assert np.abs(layer.kernel - before).max() > 1e-5
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    inputs = {key: BATCH[key] for key in model.input}
    for key, value in model(inputs).items():
        np.testing.assert_allclose(loaded(inputs)[key], value, atol=1e-5)
    target = make(config).model
    assert "image_tower/image_backbone/block_1" in warm_start.copy_weights(loaded, target)
    np.testing.assert_allclose(
        target(inputs)[keys.IMAGE_EMBEDDING], model(inputs)[keys.IMAGE_EMBEDDING], atol=1e-5
    )


@pytest.mark.slow
def test_lora_of_a_transformer(tmp_path):
    """A BERT of two layers: six dense kernels each, merged when saved."""
    bert = keras_hub.models.BertBackbone(
        vocabulary_size=9, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=12
    )
    ids = keras.Input((6,), dtype="int32")
    mask = keras.ops.ones_like(ids)
    x = bert({"token_ids": ids, "padding_mask": mask, "segment_ids": mask * 0})
    inner = keras.Model(ids, x["sequence_output"][:, 0], name="text_backbone")
    tower = keras.Model(ids, keras.layers.Dense(3)(inner(ids)), name="text_tower")
    model = keras.Model(ids, tower(ids))
    kernels = 2 * 6
    prepare(model, dataclasses.replace(CONFIG, lora_rank=2, freeze_layers="embedding|pooled"))
    assert len(inner.trainable_variables) == 2 * kernels
    for each in inner.trainable_variables:
        each.assign(np.random.default_rng(0).normal(size=each.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    texts = np.arange(12).reshape(2, 6) % 9
    np.testing.assert_allclose(loaded(texts), model(texts), atol=1e-4)
    assert not [each for each in loaded.weights if "lora" in each.name]


@pytest.mark.slow
def test_two_replicas_equal_one(mirrored):
    config = dataclasses.replace(CONFIG, backbone_learning_rate=0.5, optimizer="sgd")
    alone = ready(config)
    alone.train_step(BATCH)
    with mirrored.scope():
        trainer = ready(config)
    step = distribute.step_function(mirrored, trainer.train_step)
    dataset = tf.data.Dataset.from_tensors(items()).unbatch().batch(16)
    for batch in distribute.distribute_batches(mirrored, dataset):
        step(batch)
    for a, b in zip(alone.model.weights, trainer.model.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_layers": "block_9"}, "matches no layer.*block_0.*Received: 'block_9'"),
        ({"freeze_layers": "("}, "no regular expression"),
        ({"freeze_layers": "."}, "--freeze_layers freezes all layers"),
        ({"freeze_layers": "block", "lora_rank": 2}, "--lora_rank.*none that is trained"),
    ],
)
def test_settings_without_effect_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        make(dataclasses.replace(CONFIG, **changes))


def test_a_backbone_that_never_learns_is_refused(tmp_path):
    with pytest.raises(UserError, match="--freeze_backbone_epochs leaves no epoch"):
        fit(tmp_path, freeze_backbone_epochs=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone_learning_rate": 0.1},
        {"first_layer_learning_rate": 0.1},
        {"freeze_layers": "x"},
        {"lora_rank": 1},
        {"freeze_backbone_epochs": 1},
    ],
    ids=str,
)
def test_they_need_a_backbone(changes):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    (name,) = changes
    with pytest.raises(UserError, match=f"--{name} is a setting of networks that are trained"):
        prepare(model, dataclasses.replace(CONFIG, **changes))
