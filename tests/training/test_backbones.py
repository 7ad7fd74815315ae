"""Learning rates, freezing, LoRA and stages of a network that is trained with its tower."""

import dataclasses

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import distribute, keys
from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.run_folder import RunFolder
from huse_tf.sections import TrainingConfig
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training import loop, warm_start
from huse_tf.training.backbones import backbones, layers_of, prepare, rates
from huse_tf.training.optimizers import make_optimizer
from huse_tf.training.trainer import Trainer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
CONFIG = TrainingConfig(
    batch_size=8, epochs=3, learning_rate=1e-2, patience=0, monitor=("score",), strategy="one"
)
DISTANCES = (1 - np.eye(3)).astype(np.float32) * 0.5


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A BERT of two layers without dropout, in a folder."""
    folder = tmp_path_factory.mktemp("bert")
    keras.utils.set_random_seed(1)
    bert = keras_hub.models.BertBackbone(
        vocabulary_size=len(WORDS), num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=12,
        max_sequence_length=8, dropout=0.0,
    )  # fmt: skip
    bert.save_to_preset(str(folder))
    keras_hub.tokenizers.BertTokenizer(WORDS).save_to_preset(str(folder))
    return f"keras_hub:{folder}"


@pytest.fixture(scope="module")
def make(source):
    """A function of the settings to a fresh, equal model with a text backbone, prepared."""
    from huse_tf.features.registry import make_text_encoder

    text = make_text_encoder(f"tokens:{source}:6").feature_spec
    spec = DataSpec(FeatureSpec((6,)), text, 3, DISTANCES)
    method = Huse.of(
        embedding_dim=8, image_layers=(8,), text_layers=(8,), dropout=0.0, input_dropout=0.0,
        text_backbone=source,
    )  # fmt: skip

    def build(config=CONFIG):
        keras.utils.set_random_seed(2)
        model = method.build_model(spec)
        prepare(model, config)
        return Trainer(model, method.build_objective(spec))

    return build


def items(count=16):
    rng = np.random.default_rng(0)
    return {
        keys.IMAGE_FEATURES: rng.normal(size=(count, 6)).astype(np.float32),
        keys.TEXT_FEATURES: rng.integers(1, len(WORDS), (count, 6)).astype(np.int32),
        keys.LABEL: (np.arange(count) % 3).astype(np.int32),
        keys.WEIGHT: np.ones(count, np.float32),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
    }


def fit(make, folder, validate=None, **changes):
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

    def __init__(self, make, config=CONFIG):
        self.before = weights_of(make(config).model)
        self.rows = []

    def __call__(self, model):
        now = weights_of(model)
        # LoRA adds weights at the end of a layer.
        self.rows.append({k: np.abs(now[k][: len(v)] - v).max() for k, v in self.before.items()})
        return {"score": float(len(self.rows))}


def layer_names(make):
    (backbone,) = backbones(make().model)
    return [layer.name for layer in layers_of(backbone)]


def test_the_layers_of_a_backbone_in_order(make):
    names = layer_names(make)
    assert names[-2:] == ["transformer_layer_0", "transformer_layer_1"]
    assert names[0] == "token_embedding"


def test_shares_lie_evenly_on_a_logarithmic_scale(make):
    config = dataclasses.replace(
        CONFIG, backbone_learning_rate=0.5, first_layer_learning_rate=0.005
    )
    model = make(config).model
    found = rates(model, config).groups
    count = len(layer_names(make))
    expected = 0.005 * (0.5 / 0.005) ** (np.arange(count) / (count - 1))
    np.testing.assert_allclose(sorted(found), expected, rtol=1e-5)
    assert rates(model, CONFIG).groups == {}  # all as the rest: one optimizer


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_share_scales_the_first_step(make, optimizer):
    """SGD moves by rate times gradient; Adam's first step has the length of the rate in each weight."""

    def moved(config):
        trainer = make(config)
        before = weights_of(trainer.model)
        trainer.compile(optimizer=make_optimizer(config, 10))
        for share, variables in rates(trainer.model, config).groups.items():
            scaled = dataclasses.replace(config, learning_rate=share * config.learning_rate)
            trainer.backbones.groups.append((make_optimizer(scaled, 10), variables))
        trainer.train_step({key: tf.constant(value) for key, value in items().items()})
        after = weights_of(trainer.model)
        head = trainer.model.get_layer("text_tower").get_layer("text_tower_projection").kernel
        return {name: after[name] - before[name] for name in before}, head.numpy()

    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    whole, head = moved(config)
    part, same = moved(
        dataclasses.replace(config, backbone_learning_rate=0.5, first_layer_learning_rate=0.05)
    )
    names = list(whole)
    np.testing.assert_allclose(part[names[-1]], 0.5 * whole[names[-1]], atol=2e-6)
    np.testing.assert_allclose(part[names[0]], 0.05 * whole[names[0]], atol=2e-6)
    np.testing.assert_array_equal(head, same)
    assert np.abs(whole[names[0]]).max() > 1e-5


def test_frozen_layers_keep_their_weights(make, tmp_path):
    moves = Moves(make)
    fit(make, tmp_path, moves, freeze_layers="embedding|layer_0", epochs=1)
    still = {name for name, far in moves.rows[-1].items() if far == 0}
    assert still == {name for name in moves.before if "embedding" in name or "layer_0" in name}


def test_the_backbone_rests_and_then_learns(make, tmp_path):
    moves = Moves(make)
    fit(make, tmp_path, moves, freeze_backbone_epochs=2)
    assert [max(row.values()) > 0 for row in moves.rows] == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {
            "freeze_backbone_epochs": 1,
            "first_layer_learning_rate": 0.1,
            "backbone_learning_rate": 0.5,
        },
        {"lora_rank": 2},
    ],
    ids=str,
)
def test_a_killed_run_goes_on_to_the_same_result(make, tmp_path, changes):
    def dies(model):
        raise RuntimeError("killed")

    whole = fit(make, tmp_path / "whole", **changes)
    with pytest.raises(RuntimeError, match="killed"):
        fit(make, tmp_path / "cut", dies, checkpoint_every_steps=1, **changes)
    again = fit(make, tmp_path / "cut", **changes)
    for a, b in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_lora_trains_factors_only_and_is_merged_when_saved(make, tmp_path):
    """The loaded model has no factors, answers as the trained one, and a run can start from it."""
    config = dataclasses.replace(CONFIG, lora_rank=2)
    trainer = make(config)
    model = trainer.model
    (backbone,) = backbones(model)
    assert all("lora_kernel" in each.name for each in backbone.trainable_variables)
    assert len(backbone.trainable_variables) == 2 * 2 * 6  # two layers of six dense kernels
    before = weights_of(make().model)
    trainer.compile(optimizer=keras.optimizers.Adam(0.05))
    batch = {key: tf.constant(value) for key, value in items().items()}
    for _ in range(3):
        trainer.train_step(batch)
    after = weights_of(model)
    for name, values in before.items():
        np.testing.assert_array_equal(after[name][: len(values)].sum(), values.sum()) if (
            "embedding" in name
        ) else None
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert not [each for each in loaded.weights if "lora" in each.name]
    inputs = {key: batch[key] for key in model.input}
    for key, value in model(inputs).items():
        np.testing.assert_allclose(loaded(inputs)[key], value, atol=1e-5)
    merged = weights_of(loaded)
    assert np.abs(merged["transformer_layer_0"] - before["transformer_layer_0"]).max() > 1e-3
    target = make(config).model
    assert "text_tower/text_backbone/network/transformer_layer_1" in warm_start.copy_weights(
        loaded, target
    )
    np.testing.assert_allclose(
        target(inputs)[keys.TEXT_EMBEDDING], model(inputs)[keys.TEXT_EMBEDDING], atol=1e-5
    )


def test_two_replicas_equal_one(make, mirrored):
    config = dataclasses.replace(CONFIG, backbone_learning_rate=0.5, optimizer="sgd")

    def ready():
        trainer = make(config)
        trainer.compile(optimizer=make_optimizer(config, 10))
        ((share, variables),) = rates(trainer.model, config).groups.items()
        scaled = dataclasses.replace(config, learning_rate=share * config.learning_rate)
        trainer.backbones.groups.append((make_optimizer(scaled, 10), variables))
        for optimizer, each in trainer.groups():
            optimizer.build(each)
        return trainer

    alone = ready()
    alone.train_step({key: tf.constant(value) for key, value in items().items()})
    with mirrored.scope():
        trainer = ready()
    step = distribute.step_function(mirrored, trainer.train_step)
    dataset = tf.data.Dataset.from_tensors(items())
    for batch in distribute.distribute_batches(mirrored, dataset.unbatch().batch(16)):
        step(batch)
    for a, b in zip(alone.model.weights, trainer.model.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_layers": "block_9"}, "matches no layer.*token_embedding.*Received: 'block_9'"),
        ({"freeze_layers": "("}, "no regular expression"),
        ({"freeze_layers": "."}, "freezes all layers"),
        ({"freeze_layers": "layer_[01]", "lora_rank": 2}, "--lora_rank.*none that is trained"),
    ],
)
def test_settings_without_effect_are_refused(make, changes, message):
    with pytest.raises(UserError, match=message):
        make(dataclasses.replace(CONFIG, **changes))


def test_a_backbone_that_never_learns_is_refused(make, tmp_path):
    with pytest.raises(UserError, match="--freeze_backbone_epochs leaves no epoch"):
        fit(make, tmp_path, freeze_backbone_epochs=3)


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
    spec = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, DISTANCES)
    model = Huse.of(embedding_dim=8, image_layers=(), text_layers=()).build_model(spec)
    (name,) = changes
    with pytest.raises(UserError, match=f"--{name} is a setting of networks that are trained"):
        prepare(model, dataclasses.replace(CONFIG, **changes))
