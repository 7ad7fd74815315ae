import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.methods.late_fusion import LateFusion
from huse_tf.spec import DataSpec, FeatureSpec

SPEC = DataSpec(FeatureSpec((6,)), FeatureSpec((5,)), 3, np.zeros((3, 3), np.float32))
MULTI = DataSpec(SPEC.image, SPEC.text, 3, SPEC.class_distances, multi_label=True)


def run(spec, rng, scale=1.0):
    model = LateFusion().build_model(spec)
    features = {
        keys.IMAGE_FEATURES: rng.normal(size=(4, 6)).astype(np.float32) * scale,
        keys.TEXT_FEATURES: rng.normal(size=(4, 5)).astype(np.float32) * scale,
    }
    return model, features, model(features)


@pytest.mark.parametrize(("spec", "function"), [(SPEC, tf.nn.softmax), (MULTI, tf.sigmoid)])
def test_the_embedding_is_the_posterior_with_unit_norm(rng, spec, function):
    _, _, outputs = run(spec, rng)
    for name in (keys.IMAGE, keys.TEXT):
        posterior = function(outputs[keys.logits(name)]).numpy()
        expected = posterior / np.linalg.norm(posterior, axis=1, keepdims=True)
        np.testing.assert_allclose(outputs[keys.embedding(name)], expected, atol=1e-6)


def test_classifiers_are_linear_in_features_of_one_scale(rng):
    """Logits = W (x - mean) / deviation + b, mean and deviation over an item's own features."""
    model, features, outputs = run(SPEC, rng)
    x = features[keys.IMAGE_FEATURES]
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3)
    kernel, bias = model.get_layer("image_tower").get_layer("image_tower_classifier").get_weights()
    np.testing.assert_allclose(outputs[keys.IMAGE_LOGITS], x @ kernel + bias, atol=1e-5)


def test_how_long_feature_vectors_are_hardly_matters(rng):
    model, features, outputs = run(SPEC, rng, scale=10.0)
    again = model({key: 100 * value for key, value in features.items()})
    np.testing.assert_allclose(again[keys.TEXT_LOGITS], outputs[keys.TEXT_LOGITS], atol=1e-3)


def test_pictures_as_they_are_are_refused():
    images = DataSpec(FeatureSpec((8, 8, 3)), SPEC.text, 3, SPEC.class_distances)
    with pytest.raises(UserError, match="--image_encoder=pixels"):
        LateFusion().build_model(images)
