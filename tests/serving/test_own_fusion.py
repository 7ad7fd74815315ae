"""A model that fuses image and text itself is served with its own fusion."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PATHS, TEXTS, WORDS, AverageColour, BagOfWords, best, decoded, softmax

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.methods.linear_probe import LinearProbe
from huse_tf.methods.modality_weights import ModalityWeights
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported
from huse_tf.spec import DataSpec, FeatureSpec

# The heads have tests of their own; one of them stands for all by default.
FUSIONS = ["mnl", *(pytest.param(name, marks=pytest.mark.slow) for name in ("softmax", "gate"))]


def build(fusion, fields=1):
    keras.utils.set_random_seed(3)
    method = ModalityWeights.of(
        fusion=fusion, embedding_dim=6, image_layers=(8,), text_layers=(8,), classifier_norm=1.0
    )
    count = len(PATHS)
    texts = FeatureSpec((fields * (len(WORDS) + 1),), fields=fields)
    spec = DataSpec(FeatureSpec((3,)), texts, count, np.zeros((count, count), np.float32))
    return method.build_model(spec)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_classify_gives_the_fused_logits_of_complete_rows(fusion, images, tmp_path):
    """Row 1 has no text and row 2 has no image: the other input alone answers."""
    model = build(fusion)
    texts = [TEXTS[0], "", TEXTS[2]]
    sent = [images[0], images[1], b""]
    folder = tmp_path / "fused" / "1"
    encoders = AverageColour(), BagOfWords()
    export_model(Exported(model, *encoders, Taxonomy(PATHS)), folder)
    answer = tf.saved_model.load(folder).signatures["classify"](
        image_bytes=tf.constant(sent), text=tf.constant(texts)
    )
    outputs = model(
        {
            keys.IMAGE_FEATURES: encoders[0](tf.constant(images[:3])),
            keys.TEXT_FEATURES: encoders[1](tf.constant(TEXTS[:3])),
        }
    )
    rows = (keys.FUSED_LOGITS, keys.IMAGE_LOGITS, keys.TEXT_LOGITS)
    expected = best(softmax(np.stack([outputs[key][row] for row, key in enumerate(rows)])))
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    assert decoded(answer["classes"]) == expected["classes"]
    head = keras.models.load_model(folder / "fusion.keras")
    found = head({key: outputs[key] for key in (keys.IMAGE_EMBEDDING, keys.TEXT_EMBEDDING)})
    np.testing.assert_allclose(found, softmax(outputs[keys.FUSED_LOGITS].numpy()), atol=1e-5)


def test_a_fusion_of_features_is_served(images, tmp_path):
    """The third regression of a linear probe reads the encoders' features, not the embeddings."""
    count, encoders = len(PATHS), (AverageColour(), BagOfWords())
    texts = FeatureSpec((len(WORDS) + 1,))
    spec = DataSpec(FeatureSpec((3,)), texts, count, np.zeros((count, count), np.float32))
    model = LinearProbe().build_model(spec)
    folder = tmp_path / "fused" / "1"
    export_model(Exported(model, *encoders, Taxonomy(PATHS)), folder)
    answer = tf.saved_model.load(folder).signatures["classify"](
        image_bytes=tf.constant(images[:3]), text=tf.constant(TEXTS[:3])
    )
    features = {
        keys.IMAGE_FEATURES: encoders[0](tf.constant(images[:3])),
        keys.TEXT_FEATURES: encoders[1](tf.constant(TEXTS[:3])),
    }
    expected = best(softmax(model(features)[keys.FUSED_LOGITS].numpy()))
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    assert decoded(answer["classes"]) == expected["classes"]
    head = keras.models.load_model(folder / "fusion.keras")
    found = head(features)
    np.testing.assert_allclose(
        found, softmax(model(features)[keys.FUSED_LOGITS].numpy()), atol=1e-5
    )


class TwoColumns(BagOfWords):
    """Texts "... | ..." -> [batch, 10]: the word counts of each column."""

    def __call__(self, inputs):
        columns = tf.strings.split(inputs, "|").to_tensor("", shape=[None, 2])
        return tf.concat([super(TwoColumns, self).__call__(columns[:, i]) for i in (0, 1)], axis=1)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_text_columns_are_fused_from_their_features(fusion, images, tmp_path):
    model, encoders = build(fusion, fields=2), (AverageColour(), TwoColumns())
    texts = ["red shirt|blue", "shoe|", "|blue shoe"]
    folder = tmp_path / "fused" / "1"
    export_model(Exported(model, *encoders, Taxonomy(PATHS)), folder)
    answer = tf.saved_model.load(folder).signatures["classify"](
        image_bytes=tf.constant(images[:3]), text=tf.constant(texts)
    )
    features = {
        keys.IMAGE_FEATURES: encoders[0](tf.constant(images[:3])),
        keys.TEXT_FEATURES: encoders[1](tf.constant(texts)),
    }
    outputs = model(features)
    expected = best(softmax(outputs[keys.FUSED_LOGITS].numpy()))
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    assert decoded(answer["classes"]) == expected["classes"]
    head = keras.models.load_model(folder / "fusion.keras")
    inputs = features | outputs
    found = head({key: inputs[key] for key in (keys.IMAGE_EMBEDDING, keys.TEXT_FEATURES)})
    np.testing.assert_allclose(found, softmax(outputs[keys.FUSED_LOGITS].numpy()), atol=1e-5)
