"""A tiny BERT in a folder of its own, as keras_hub saves it: read whole, and equal to keras_hub's own."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.errors import UserError
from huse_tf.features.bert import load_bert
from huse_tf.features.registry import make_text_encoder
from huse_tf.methods.fashion_bert import FashionBert
from huse_tf.spec import DataSpec, FeatureSpec

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "oak", "arm", "##chair", "sofa"]
SIZES = {"depth": 2, "hidden_dim": 12, "heads": 3, "dropout": 0.1}


def save(folder, tokenizer=None, **changes):
    """Every weight is random, biases and normalisations too, so that none can be left out unseen."""
    sizes = {"num_layers": 2, "num_heads": 3, "hidden_dim": 12, "intermediate_dim": 20}
    sizes |= {"vocabulary_size": len(VOCABULARY), "max_sequence_length": 9, **changes}
    bert = keras_hub.models.BertBackbone(**sizes)
    rng = np.random.default_rng(0)
    bert.set_weights([rng.normal(0.1, 0.5, weight.shape) for weight in bert.get_weights()])
    bert.save_to_preset(str(folder))
    tokenizer = tokenizer or keras_hub.tokenizers.BertTokenizer(VOCABULARY, lowercase=True)
    tokenizer.save_to_preset(str(folder))
    return bert


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    return folder, save(folder)


def spec_of(encoder):
    return DataSpec(FeatureSpec((4, 6)), encoder.feature_spec, 2, np.zeros((2, 2), np.float32))


def method(folder, **changes):
    return FashionBert.of(**{**SIZES, "initial_weights": f"keras_hub:{folder}", **changes})


def test_its_word_pieces_are_those_of_its_tokenizer(preset):
    """By hand; and of a text of one part as keras_hub packs it."""
    folder, _ = preset
    encoder = make_text_encoder(f"tokens:keras_hub:{folder}:9")
    texts = ["Red ARMCHAIR", "oak [SEP] sofa", "teak red red oak oak sofa sofa sofa sofa", ""]
    ids = encoder(tf.constant(texts)).numpy()
    assert ids.tolist() == [
        [2, 5, 7, 8, 3, 0, 0, 0, 0],
        [2, 6, 3, 9, 3, 0, 0, 0, 0],
        [2, 1, 5, 5, 6, 6, 9, 9, 3],
        [2, 3, 0, 0, 0, 0, 0, 0, 0],
    ]
    tokenizer = keras_hub.tokenizers.BertTokenizer.from_preset(str(folder))
    packer = keras_hub.layers.StartEndPacker(9, start_value=2, end_value=3, pad_value=0)
    one_part = [0, 2, 3]
    expected = packer(tokenizer([texts[place] for place in one_part]))
    np.testing.assert_array_equal(ids[one_part], expected)
    pieces = encoder.feature_spec.pieces
    assert (pieces.start, pieces.end, pieces.mask, pieces.continuations) == (2, 3, 4, {8})
    assert encoder.feature_spec.vocabulary_size == 10
    assert make_text_encoder(f"tokens:keras_hub:{folder}").feature_spec.shape == (64,)


def test_other_vocabularies_have_other_fingerprints(preset, tmp_path):
    other = keras_hub.tokenizers.BertTokenizer([*VOCABULARY[:-1], "lamp"], lowercase=True)
    save(tmp_path, other)
    specs = [f"tokens:keras_hub:{folder}:9" for folder in (preset[0], tmp_path)]
    assert len({make_text_encoder(spec).fingerprint for spec in specs}) == 2


def test_the_stream_begins_as_that_bert(preset):
    """Every table and every weight of its layers; and on a text without patches to look at, its very outputs."""
    folder, bert = preset
    encoder = make_text_encoder(f"tokens:keras_hub:{folder}:7")
    keras.utils.set_random_seed(1)
    model = method(folder).build_model(spec_of(encoder))
    assert model.get_layer("text_position").get_weights()[0].shape == (7, 12)
    for ours, theirs in (
        ("words", "token_embedding"),
        ("text_position", "position_embedding"),
        ("segments", "segment_embedding"),
        ("text_norm", "embeddings_layer_norm"),
        ("transformer_0", "transformer_layer_0"),
        ("transformer_1", "transformer_layer_1"),
        ("pooler", "pooled_dense"),
    ):
        found, wanted = (
            layer.get_weights() for layer in (model.get_layer(ours), bert.get_layer(theirs))
        )
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other[: len(one)])
    ids = encoder(tf.constant(["red oak armchair", "sofa"])).numpy()
    x = keras.Model(model.input, model.get_layer("text_norm").output)(
        {keys.TEXT_FEATURES: ids, keys.IMAGE_FEATURES: np.zeros((2, 4, 6), np.float32)}
    )
    for layer in range(2):  # the layers alone, for in the stream patches are seen as well
        x = model.get_layer(f"transformer_{layer}")(x, padding_mask=(ids > 0).astype("int32"))
    expected = bert(
        {"token_ids": ids, "padding_mask": (ids > 0).astype("int32"), "segment_ids": 0 * ids}
    )
    np.testing.assert_allclose(x, expected["sequence_output"], atol=1e-5)
    pooled = model.get_layer("pooler")(x[:, 0])
    np.testing.assert_allclose(pooled, expected["pooled_output"], atol=1e-5)


def test_it_is_loaded_elsewhere_with_its_gelu(preset, tmp_path):
    folder, _ = preset
    encoder = make_text_encoder(f"tokens:keras_hub:{folder}:7")
    model = method(folder).build_model(spec_of(encoder))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    inputs = {
        keys.TEXT_FEATURES: encoder(tf.constant(["red oak armchair"])).numpy(),
        keys.IMAGE_FEATURES: np.ones((1, 4, 6), np.float32),
    }
    for key, value in model(inputs).items():
        np.testing.assert_allclose(again(inputs)[key], value, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "length", "message"),
    [
        ({"hidden_dim": 24}, 9, "needs --hidden_dim=12. Received: 24"),
        ({"heads": 4}, 9, "needs --heads=3. Received: 4"),
        ({}, 10, "reads 9 word pieces of a text at most.*Received: 10"),
    ],
)
def test_other_sizes_are_refused(preset, changes, length, message):
    encoder = make_text_encoder(f"tokens:keras_hub:{preset[0]}:{length}")
    with pytest.raises(UserError, match=message):
        method(preset[0], **changes).build_model(spec_of(encoder))


def test_word_pieces_in_another_order_are_refused(preset, tmp_path):
    other = [*VOCABULARY[:-3], "sofa", "##chair", "lamp"]
    save(tmp_path, keras_hub.tokenizers.BertTokenizer(other, lowercase=True))
    encoder = make_text_encoder(f"tokens:keras_hub:{tmp_path}:9")
    with pytest.raises(UserError, match=r"or in another order\. Expected --text_encoder=tokens:"):
        method(preset[0]).build_model(spec_of(encoder))


def test_other_sources_are_refused(tmp_path):
    encoder = make_text_encoder("tokens:minilm:9")
    for weights, message in (
        ("bert", "--initial_weights=bert: Expected minilm, or keras_hub:PRESET"),
        (f"keras_hub:{tmp_path}", "Cannot load"),
    ):
        with pytest.raises(UserError, match=message):
            FashionBert.of(initial_weights=weights).build_model(spec_of(encoder))
    with pytest.raises(UserError, match="Cannot load"):
        make_text_encoder(f"tokens:keras_hub:{tmp_path}:9")


def test_a_network_of_another_kind_is_refused(tmp_path):
    keras_hub.models.RobertaBackbone(10, 1, 2, 8, 16, max_sequence_length=8).save_to_preset(
        str(tmp_path)
    )
    with pytest.raises(UserError, match=r"a preset of a BERT.*RobertaBackbone"):
        load_bert(f"keras_hub:{tmp_path}")
