import keras
import numpy as np
import pytest

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.cca import Cca
from huse_tf.spec import DataSpec, FeatureSpec

SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, np.zeros((3, 3), np.float32))


def make_items(rng, count=200):
    """Images and texts of two hidden signals, and noise."""
    signal = rng.normal(size=(count, 2))
    image, text = (
        signal @ rng.normal(size=(2, dim)) + 0.3 * rng.normal(size=(count, dim)) for dim in (6, 5)
    )
    return {
        keys.IMAGE_FEATURES: image.astype(np.float32),
        keys.TEXT_FEATURES: text.astype(np.float32),
        keys.IMAGE_MASK: np.ones(count, np.float32),
        keys.TEXT_MASK: np.ones(count, np.float32),
        keys.WEIGHT: np.ones(count, np.float32),
    }


def embed(model, items):
    outputs = model({key: items[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)})
    return outputs[keys.IMAGE_EMBEDDING].numpy(), outputs[keys.TEXT_EMBEDDING].numpy()


def test_embeddings_of_new_items_find_their_other_half(rng):
    method, items = Cca.of(components=2, regularization=1e-3), make_items(rng, 260)
    model = method.build_model(SPEC)
    method.adapt(model, {key: value[:200] for key, value in items.items()})
    image, text = embed(model, {key: value[200:] for key, value in items.items()})
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, atol=1e-5)
    assert (image * text).sum(1).mean() > 0.9
    assert abs((image @ text.T).mean()) < 0.2


def test_items_without_a_modality_have_no_say(rng):
    method, items = Cca.of(components=2), make_items(rng, 50)
    items[keys.TEXT_MASK][[3, 7]] = 0
    items[keys.IMAGE_MASK][20] = 0
    other = {key: value.copy() for key, value in items.items()}
    other[keys.TEXT_FEATURES][[3, 7]] = 100
    other[keys.IMAGE_FEATURES][20] = -100
    models = []
    for each in (items, other):
        model = method.build_model(SPEC)
        method.adapt(model, each)
        models.append(model)
    for one, two in zip(*(embed(model, items) for model in models), strict=True):
        np.testing.assert_array_equal(one, two)


def test_only_the_probe_is_trained():
    model = Cca.of(components=3).build_model(SPEC)
    assert {v.path for v in model.trainable_variables} == {"classifier/kernel", "classifier/bias"}


def test_projections_survive_saving(rng, tmp_path):
    method, items = Cca.of(components=2), make_items(rng, 50)
    model = method.build_model(SPEC)
    method.adapt(model, items)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(embed(model, items), embed(again, items), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_cannot_be_correlated_is_refused(rng):
    words = DataSpec(SPEC.image, FeatureSpec((7,), vocabulary_size=11), 3, SPEC.class_distances)
    with pytest.raises(UserError, match=r"--text_encoder gives int32 of shape \(7,\)"):
        Cca.of(components=2).build_model(words)
    images = DataSpec(FeatureSpec((8, 8, 3)), SPEC.text, 3, SPEC.class_distances)
    with pytest.raises(UserError, match="--image_encoder"):
        Cca.of(components=2).build_model(images)
    with pytest.raises(UserError, match=r"5 of one modality. Received: --components=6"):
        Cca.of(components=6).build_model(SPEC)
    method = Cca.of(components=5)
    with pytest.raises(UserError, match=r"Expected more than --components=5.*Received: 5"):
        method.adapt(method.build_model(SPEC), make_items(rng, 5))
