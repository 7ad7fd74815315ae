"""The networks that are trained on texts: they begin as the frozen encoder, and learn."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from test_bert import VOCABULARY, save

from huse_tf.errors import UserError
from huse_tf.features.registry import make_text_encoder
from huse_tf.features.text_backbones import text_layers
from huse_tf.spec import FeatureSpec
from huse_tf.towers.mlp import mlp_tower

TEXTS = ["Red ARMCHAIR", "oak", "teak red sofa", ""]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    save(folder)
    return f"keras_hub:{folder}"


def roberta(folder):
    """A RoBERTa, whose padding id is 1."""
    words = ["<s>", "<pad>", "</s>", "<mask>", "r", "e", "d", "re", "red", "o", "a", "k", "\u0120"]
    tokenizer = keras_hub.tokenizers.RobertaTokenizer(
        {word: id for id, word in enumerate(words)}, ["r e", "re d"]
    )
    tokenizer.save_to_preset(str(folder))
    backbone = keras_hub.models.RobertaBackbone(
        vocabulary_size=len(words), num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=12,
        max_sequence_length=9,
    )  # fmt: skip
    backbone.save_to_preset(str(folder))
    return f"keras_hub:{folder}"


def features_of(encoder, layers, texts=TEXTS):
    ids = encoder(tf.constant(texts))
    assert ids.dtype == tf.int32
    (network,) = layers
    return network(ids).numpy()


def test_before_the_first_step_it_is_the_frozen_encoder(preset):
    tokens = make_text_encoder(f"tokens:{preset}:7")
    expected = make_text_encoder(preset)(tf.constant(TEXTS)).numpy()
    layers = text_layers(preset, tokens.feature_spec)
    np.testing.assert_allclose(features_of(tokens, layers), expected, atol=1e-5)


@pytest.mark.slow
def test_a_padding_id_above_zero(tmp_path):
    source = roberta(tmp_path)
    tokens = make_text_encoder(f"tokens:{source}:9")
    texts = ["red oak", "dark", ""]
    ids = tokens(tf.constant(texts)).numpy()
    assert ids[2].tolist() == [12, 1] + [0] * 7  # <s> 0 and </s> 2, less the 1 of <pad>, of 13
    expected = make_text_encoder(source)(tf.constant(texts)).numpy()
    layers = text_layers(source, tokens.feature_spec)
    np.testing.assert_allclose(features_of(tokens, layers, texts), expected, atol=1e-5)
    assert (
        tokens.feature_spec.pieces is None
    )  # FashionBERT hides whole words, and needs to know them


@pytest.mark.slow
def test_minilm_before_the_first_step_is_the_encoder_minilm():
    tokens = make_text_encoder("tokens:minilm:32")
    texts = ["Red armchair, oak legs", "größer", "", "TV stand 120 cm (black)"]
    expected = make_text_encoder("minilm")(tf.constant(texts)).numpy()
    layers = text_layers("minilm", tokens.feature_spec)
    found = features_of(tokens, layers, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_gradients_reach_every_layer_and_a_missing_text_does_no_harm(preset, tmp_path):
    """The features of a missing text are zeros: padding only."""
    tokens = make_text_encoder(f"tokens:{preset}:7")
    layers = text_layers(preset, tokens.feature_spec)
    tower = mlp_tower(
        "text_tower", tokens.feature_spec, hidden=(), embedding_dim=4, dropout=0.0, network=layers
    )
    ids = np.concatenate([tokens(tf.constant(TEXTS)), np.zeros((1, 7), np.int32)])
    with tf.GradientTape() as tape:
        # The square of a unit vector has no gradient.
        loss = tf.reduce_sum(tower(ids, training=True)[:, 0])
    gradients = tape.gradient(loss, tower.trainable_variables)
    assert len(gradients) > 30
    assert all(np.isfinite(tf.convert_to_tensor(each)).all() for each in gradients)
    assert sum(np.abs(tf.convert_to_tensor(each)).max() > 0 for each in gradients) > 25
    tower.save(tmp_path / "tower.keras")
    again = keras.models.load_model(tmp_path / "tower.keras", compile=False)
    np.testing.assert_allclose(again(ids), tower(ids), atol=1e-6)


def test_unit_norm_of_a_missing_text_has_a_finite_gradient():
    layer = keras.layers.UnitNormalization()
    x = tf.Variable(tf.zeros((1, 3)))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x))
    assert np.isfinite(tape.gradient(y, x)).all()


def test_no_network_for_vectors():
    assert text_layers("", FeatureSpec((5,))) == []


def test_what_does_not_go_together_is_refused(preset, tmp_path):
    spec = make_text_encoder(f"tokens:{preset}:9").feature_spec
    other = tmp_path / "other"
    save(other, keras_hub.tokenizers.BertTokenizer([*VOCABULARY[:-1], "bed"], lowercase=True))
    short = tmp_path / "short"
    folder = preset.removeprefix("keras_hub:")
    same = keras_hub.tokenizers.BertTokenizer.from_preset(folder)
    save(short, same, max_sequence_length=8)
    for backbone, features, message in (
        (preset, FeatureSpec((5,)), "--text_backbone=keras_hub:.*--text_encoder=tokens:keras_hub:"),
        (preset, FeatureSpec((5,), vocabulary_size=9), "--text_encoder=tokens:"),
        (f"keras_hub:{other}", spec, "different tokenizers"),
        (f"keras_hub:{short}", spec, "reads 8 tokens.*Received: 9"),
        ("mini_lm", spec, "Expected minilm, or keras_hub:PRESET.*Received: 'mini_lm'"),
    ):
        with pytest.raises(UserError, match=message):
            text_layers(backbone, features)
