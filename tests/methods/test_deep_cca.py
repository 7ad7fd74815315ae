import keras
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.deep_cca import DeepCca
from huse_tf.models.two_tower import IMAGE_TOWER, TEXT_TOWER
from huse_tf.spec import DataSpec, FeatureSpec
from huse_tf.training.trainer import Trainer

SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, np.zeros((3, 3), np.float32))
TOWERS = (IMAGE_TOWER, TEXT_TOWER)
METHOD = DeepCca.of(
    embedding_dim=2,
    image_layers=(32,),
    text_layers=(32,),
    regularization=1e-2,
)


def make_items(rng, count):
    """Images and texts of two hidden signals: no linear map of the image gives the first one."""
    signal = rng.normal(size=(count, 2))
    image = np.column_stack([np.abs(signal[:, 0]), signal[:, 1]]) @ rng.normal(size=(2, 6))
    text = np.column_stack([signal[:, 0], signal[:, 1]]) @ rng.normal(size=(2, 5))
    ones = np.ones(count, np.float32)
    return {
        keys.IMAGE_FEATURES: image.astype(np.float32),
        keys.TEXT_FEATURES: text.astype(np.float32),
        keys.IMAGE_MASK: ones.copy(),
        keys.TEXT_MASK: ones.copy(),
        keys.WEIGHT: ones.copy(),
        keys.LABEL: (np.arange(count) % 3).astype(np.int32),
    }


def mean_cosine(model, items):
    outputs = model({key: items[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)})
    return float(
        tf.reduce_mean(
            tf.reduce_sum(outputs[keys.IMAGE_EMBEDDING] * outputs[keys.TEXT_EMBEDDING], axis=1)
        )
    )


@pytest.fixture(scope="module")
def trained():
    """(model, items) after 150 steps, projections solved for at the end."""
    keras.utils.set_random_seed(0)
    items = make_items(np.random.default_rng(0), 256)
    trainer = Trainer(METHOD.build_model(SPEC), METHOD.build_objective(SPEC))
    trainer.compile(optimizer=keras.optimizers.Adam(3e-3))
    batch = {key: tf.constant(value) for key, value in items.items()}
    step = tf.function(trainer.train_step)
    losses = [float(step(batch)["loss/canonical_correlation"]) for _ in range(150)]
    assert losses[-1] < 0.3 < 0.8 < losses[0]
    return trainer.model, items


def test_images_and_texts_meet_once_projections_are_solved_for(trained):
    """The loss leaves open how the towers' outputs are turned to each other; `refit` does not."""
    model, items = trained
    model = keras.models.clone_model(model)
    model.set_weights(trained[0].get_weights())
    METHOD.refit(model, items)
    assert mean_cosine(model, items) > 0.9


def test_refit_moves_nothing_but_projections_and_probes(trained):
    model, items = trained
    before = {v.path: v.numpy() for v in model.variables}
    items = {key: value.copy() for key, value in items.items()}
    items[keys.TEXT_MASK][:100] = 0
    METHOD.refit(model, items)
    moved = {v.path for v in model.variables if np.abs(v.numpy() - before[v.path]).max() > 0}
    assert moved == {
        f"{name}_{layer}/{part}"
        for name in ("image", "text")
        for layer in ("canonical_projection", "classifier")
        for part in ("kernel", "bias")
    }


def test_only_the_towers_are_trained(trained):
    model, _ = trained
    towers = {v.path for name in TOWERS for v in model.get_layer(name).trainable_variables}
    assert {v.path for v in model.trainable_variables} == towers


def test_what_correlates_is_not_normalised(trained):
    """Unit norm would take a degree of freedom from each item before it is correlated."""
    model, items = trained
    outputs = model({key: items[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)})
    for name in (keys.IMAGE, keys.TEXT):
        assert np.linalg.norm(outputs[keys.representation(name)], axis=1).std() > 0.1
        norms = np.linalg.norm(outputs[keys.embedding(name)], axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_too_few_pairs_are_refused(rng):
    """Two of two dimensions correlate fully, whatever they are."""
    items = make_items(rng, 9)
    items[keys.TEXT_MASK][2:] = 0
    with pytest.raises(UserError, match=r"more than --embedding_dim=2.*Received: 2\."):
        METHOD.adapt(METHOD.build_model(SPEC), items)
