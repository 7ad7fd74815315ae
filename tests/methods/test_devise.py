"""What DeViSE promises beyond the conformance of every method."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.registry import make_image_encoder
from huse_tf.methods.devise import Devise, DeviseStar
from huse_tf.settings import replaced
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer
from huse_tf.training.warm_start import copy_weights

VECTORS = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1], [0, -1, 0]], np.float32)
SPEC = DataSpec(
    FeatureSpec((6,)),
    FeatureSpec((5,)),
    4,
    1 - VECTORS @ VECTORS.T,
    class_shares=np.array([0.5, 0.25, 0.25, 0]),
    class_embeddings=VECTORS,
)
METHOD = Devise()


def make_batch(rng, method=METHOD, count=16):
    """Features are the class, and noise."""
    labels = (np.arange(count) % 3).astype(np.int32)
    batch = {
        keys.IMAGE_FEATURES: (np.eye(6)[labels] + rng.normal(0, 0.3, (count, 6))).astype("f4"),
        keys.TEXT_FEATURES: (np.eye(5)[labels] + rng.normal(0, 0.3, (count, 5))).astype("f4"),
        keys.LABEL: labels,
        **dict.fromkeys((keys.WEIGHT, keys.IMAGE_MASK, keys.TEXT_MASK), np.ones(count, np.float32)),
    }
    for change in method.changes(SPEC, {}):
        change(batch, np.arange(count), np.random.default_rng(1))
    return batch


def features(batch):
    return {key: batch[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}


def train(method, batch, steps=1, optimizer="sgd", learning_rate=0.5):
    keras.utils.set_random_seed(3)
    trainer = Trainer(method.build_model(SPEC), method.build_objective(SPEC))
    trainer.compile(optimizer=keras.optimizers.get(optimizer))
    trainer.optimizer.learning_rate = learning_rate
    tensors = {key: tf.constant(value) for key, value in batch.items()}
    losses = [float(trainer.train_step(tensors)["loss/total"]) for _ in range(steps)]
    return trainer.model, losses


def test_one_linear_map_a_modality_and_the_nearest_name(rng):
    """M v without bias, its direction, and cosines to all names, those without training items too."""
    model, batch = METHOD.build_model(SPEC), make_batch(rng)
    outputs = model(features(batch))
    for modality in (keys.IMAGE, keys.TEXT):
        (kernel,) = model.get_layer(f"{modality}_tower").get_weights()
        projection = batch[keys.features(modality)] @ kernel
        directions = projection / np.linalg.norm(projection, axis=1, keepdims=True)
        np.testing.assert_allclose(outputs[keys.projection(modality)], projection, atol=1e-5)
        np.testing.assert_allclose(outputs[keys.embedding(modality)], directions, atol=1e-5)
        cosines = directions @ VECTORS.T
        np.testing.assert_allclose(outputs[keys.logits(modality)], 20 * cosines, atol=1e-3)


def test_hidden_layers_stand_before_the_map(rng):
    """The DeViSE* of the HUSE paper; a layer for images, none for texts."""
    method = replaced(METHOD, image_layers=(7,), dropout=0.5)
    model, batch = method.build_model(SPEC), make_batch(rng)
    hidden, bias, kernel = model.get_layer("image_tower").get_weights()
    inner = np.maximum(batch[keys.IMAGE_FEATURES] @ hidden + bias, 0)
    outputs = model(features(batch))
    np.testing.assert_allclose(outputs["image_projection"], inner @ kernel, atol=1e-5)
    assert len(model.get_layer("text_tower").get_weights()) == 1
    dropped = model(features(batch), training=True)
    assert not np.allclose(dropped["image_projection"], outputs["image_projection"])
    with pytest.raises(
        UserError, match=r"--dropout is a setting of --image_layers or --text_layers"
    ):
        replaced(METHOD, dropout=0.5).build_model(SPEC)


def test_features_of_zeros_have_some_direction():
    """A text of no known word; search refuses what has no direction."""
    model = METHOD.build_model(SPEC)
    zeros = {
        keys.IMAGE_FEATURES: np.zeros((1, 6), "f4"),
        keys.TEXT_FEATURES: np.zeros((1, 5), "f4"),
    }
    for key, value in model(zeros).items():
        if key.endswith("embedding"):
            np.testing.assert_allclose(np.linalg.norm(value, axis=1), 1, atol=1e-5)


def test_the_first_stage_is_the_paper_s_sgd():
    assert Devise.preset["optimizer"] == "sgd"
    assert "optimizer" not in DeviseStar.preset, "the HUSE paper's baselines share HUSE's training"


def test_training_turns_projections_to_their_names(rng):
    batch = make_batch(rng)
    for method in (METHOD, Devise.of(negatives="all"), Devise.of(loss="l2")):
        model, losses = train(method, batch, steps=40, optimizer="adam", learning_rate=0.2)
        assert losses[-1] < 0.6 * losses[0]
        # Among the labels that were negatives; of the other nothing was learnt.
        logits = model(features(batch))[keys.IMAGE_LOGITS][:, :3]
        hits = np.argmax(logits, axis=1) == batch[keys.LABEL]
        assert hits.mean() > 0.8
        np.testing.assert_allclose(
            model.get_layer("label_vectors").get_weights()[0], 20 * VECTORS.T, atol=1e-5
        )


def test_labels_that_training_does_not_meet_are_no_negatives(rng):
    """The gradient of the projection never has a part along the unseen class's vector alone."""
    batch = make_batch(rng)
    objective = Devise.of(negatives="all", margin=10.0).build_objective(SPEC)
    # All hinges are above 0: each adds t_j - t_y for every j of 0, 1, 2, and never class 3.
    projection = tf.zeros((16, 3))
    with tf.GradientTape() as tape:
        tape.watch(projection)
        outputs = {keys.IMAGE_PROJECTION: projection, keys.TEXT_PROJECTION: tf.zeros((16, 3))}
        total, _ = objective(outputs, {key: tf.constant(batch[key]) for key in objective.targets})
    seen = VECTORS[:3].sum(axis=0)
    expected = (seen - 3 * VECTORS[batch[keys.LABEL]]) / 32
    np.testing.assert_allclose(tape.gradient(total, projection), expected, atol=1e-6)


def test_without_training_items_every_label_is_a_negative():
    spec = dataclasses.replace(SPEC, class_shares=None)
    assert METHOD.build_objective(spec).terms["hinge"].negatives.tolist() == [1, 1, 1, 1]


def test_the_order_is_drawn_for_each_batch_and_from_its_generator_alone(rng):
    first, again = make_batch(rng), make_batch(rng)
    order = first[keys.NEGATIVE_ORDER]
    assert order.shape == (16, 4)
    assert order.dtype == np.float32
    np.testing.assert_array_equal(order, again[keys.NEGATIVE_ORDER])
    assert len(np.unique(order)) == order.size
    other = dict(first)
    METHOD.changes(SPEC, {})[0](other, np.arange(16), np.random.default_rng(2))
    assert np.abs(other[keys.NEGATIVE_ORDER] - order).max() > 0.1
    for method in (Devise.of(negatives="all"), Devise.of(loss="l2")):
        assert not method.changes(SPEC, {})
        assert keys.NEGATIVE_ORDER not in method.build_objective(SPEC).targets


@pytest.mark.parametrize("method", [METHOD, Devise.of(loss="l2")])
def test_the_image_half_learns_what_it_would_learn_alone(rng, method):
    """DeViSE for images only is this method: texts, or their lack, do not touch the image's map.

    By Adam, which does not see that the mean is over half as many rows.
    """
    batch = make_batch(rng, method)
    alone = {**batch, keys.TEXT_MASK: np.zeros(16, np.float32)}
    maps = []
    for each in (batch, alone):
        keras.utils.set_random_seed(3)
        start = method.build_model(SPEC).get_layer("text_tower").get_weights()[0]
        model, _ = train(method, each, steps=5, optimizer="adam", learning_rate=0.01)
        maps.append(model.get_layer("image_tower").get_weights()[0])
        text = model.get_layer("text_tower").get_weights()[0]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-4)
    np.testing.assert_array_equal(text, start)


def test_stage_two_starts_where_stage_one_ended(rng, tmp_path):
    """Frozen features and a projection, or a trained network: one embedding for an image.

    The network that makes the features of stage 1 is the one that stage 2 starts with.
    """
    encoder = make_image_encoder("efficientnet_lite0")
    side = 224
    pixels = rng.integers(0, 256, (2, side, side, 3)).astype(np.float32)
    vectors = encoder.model(pixels, training=False).numpy()
    text = rng.normal(size=(2, 5)).astype(np.float32)
    one, two = (
        dataclasses.replace(SPEC, image=FeatureSpec(shape)) for shape in ((1280,), (side, side, 3))
    )
    first = Devise().build_model(one)
    first.save(tmp_path / "model.keras")
    first = keras.models.load_model(tmp_path / "model.keras", compile=False)
    second = Devise.of(image_backbone="efficientnet_lite0").build_model(two)
    copied = copy_weights(first, second)
    assert copied == ["image_tower/image_tower_projection", "text_tower/text_tower_projection"]
    before = first({keys.IMAGE_FEATURES: vectors, keys.TEXT_FEATURES: text})
    after = second({keys.IMAGE_FEATURES: pixels, keys.TEXT_FEATURES: text})
    for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING):
        np.testing.assert_allclose(after[key], before[key], atol=1e-4)
    trained = {weight.path for weight in second.trainable_variables}
    assert len(trained) > 50, "the network is trained along"


def test_a_model_without_vectors_of_the_names_is_a_defect():
    with pytest.raises(ValueError, match="class_embeddings"):
        METHOD.build_model(dataclasses.replace(SPEC, class_embeddings=None))


@pytest.mark.parametrize("setting", [{"margin": 0.5}, {"negatives": "all"}])
def test_settings_of_the_other_loss_are_refused(setting):
    method = replaced(METHOD, loss="l2", **setting)
    with pytest.raises(UserError, match=f"--{next(iter(setting))} is a setting of --loss=hinge"):
        method.build_objective(SPEC)
