"""One stream over text and patches: who sees whom, where it starts from, how it is saved."""

import keras
import keras_hub
import numpy as np
import pytest

from huse_tf import keys
from huse_tf.models.single_stream import single_stream_model, start_from
from huse_tf.spec import DataSpec, FeatureSpec, WordPieces
from huse_tf.training.warm_start import copy_weights

PIECES = WordPieces(start=1, end=2, mask=3, continuations=frozenset({8, 9}))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    spec = DataSpec(
        FeatureSpec((4, 6)), FeatureSpec((7,), 11, PIECES), 2, np.zeros((2, 2), np.float32)
    )
    model = single_stream_model(
        spec, PIECES, depth=2, hidden_dim=8, heads=2, dropout=0.1, hidden_words=2
    )
    return model


def make_inputs():
    features = np.random.default_rng(1).normal(size=(2, 4, 6)).astype(np.float32)
    # Guessed are: nothing; what stood at 2, 4 and 5, hidden, another piece and kept.
    ids = np.array([[1, 4, 5, 2, 0, 0, 0], [1, 4, -3, 5, -6, -3, 2]], np.int32)
    return {keys.IMAGE_FEATURES: features, keys.TEXT_FEATURES: ids}


def gap(one, other, key=keys.MATCH_LOGITS, row=0):
    return float(np.abs(np.asarray(one[key][row]) - np.asarray(other[key][row])).max())


def make_search_model(seed=0):
    keras.utils.set_random_seed(seed)
    spec = DataSpec(
        FeatureSpec((4, 6)), FeatureSpec((7,), 11, PIECES), 2, np.zeros((2, 2), np.float32)
    )
    sizes = {"depth": 2, "hidden_dim": 8, "heads": 2, "dropout": 0.1, "hidden_words": 2}
    return single_stream_model(spec, PIECES, **sizes, has_query=True)


def test_segments_by_hand():
    """What comes before the first normalisation: word + place + segment, of three kinds."""
    model = make_search_model()
    query, (title, image) = np.full(8, 0.5), np.eye(2, 8)
    model.get_layer("query_segment").set_weights([query[None]])
    model.get_layer("segments").set_weights([np.stack([title, image])])
    for name in ("text_position", "patch_position", "words", "patch_projection"):
        layer = model.get_layer(name)
        layer.set_weights([0 * weight for weight in layer.get_weights()])
    # A query of two; none; a query alone; and another part, which is of the title's segment.
    ids = [
        [1, 4, 5, 2, 6, 2, 0],
        [1, 2, 4, 5, 6, 7, 2],
        [1, 4, 5, 6, 7, 8, 2],
        [1, 4, 2, 5, 2, 6, 2],
    ]
    inputs = {
        keys.TEXT_FEATURES: np.array(ids, np.int32),
        keys.IMAGE_FEATURES: np.ones((4, 4, 6), np.float32),
    }
    sums = [model.get_layer(name).output for name in ("text_sum", "patch_sum")]
    text, patches = (np.asarray(x) for x in keras.Model(model.input, sums)(inputs))
    for row, of_query in zip(text, (4, 2, 7, 3), strict=True):
        np.testing.assert_allclose(row[:of_query], np.tile(title + query, (of_query, 1)), atol=1e-6)
        np.testing.assert_allclose(row[of_query:], np.tile(title, (7 - of_query, 1)), atol=1e-6)
    np.testing.assert_allclose(patches, np.broadcast_to(image, patches.shape), atol=1e-6)


@pytest.mark.parametrize("segment", ["query", "title", "image"])
def test_every_segment_matters(segment):
    model, inputs = make_search_model(), make_inputs()
    before = model(inputs)
    layer = model.get_layer("query_segment" if segment == "query" else "segments")
    weights = layer.get_weights()[0]
    weights[1 if segment == "image" else 0] += np.eye(1, 8)[0]
    layer.set_weights([weights])
    assert gap(before, model(inputs)) > 1e-5


def test_it_goes_on_from_a_model_without_queries(model, tmp_path):
    """At first both say the same: the title keeps the text's segment, the query begins with it."""
    model.save(tmp_path / "model.keras")
    source = keras.models.load_model(tmp_path / "model.keras", compile=False)
    search, inputs = make_search_model(seed=7), make_inputs()
    assert gap(search(inputs), model(inputs)) > 1e-5
    copied = copy_weights(source, search)
    assert "segments" in copied and "query_segment" not in copied
    for key, value in model(inputs).items():
        np.testing.assert_allclose(search(inputs)[key], value, atol=1e-5)
    search.get_layer("query_segment").set_weights([np.eye(1, 8)])
    search.save(tmp_path / "search.keras")
    again = keras.models.load_model(tmp_path / "search.keras", compile=False)
    np.testing.assert_allclose(
        again(inputs)[keys.MATCH_LOGITS], search(inputs)[keys.MATCH_LOGITS], atol=1e-5
    )


def test_a_model_without_queries_has_the_weights_that_it_had(model):
    assert model.get_layer("segments").get_weights()[0].shape == (2, 8)
    assert not any(layer.name == "query_segment" for layer in model.layers)


def test_everything_matters_to_everything(model):
    """Words, patches and their places, for each of the three outputs."""
    inputs = make_inputs()
    base = model(inputs)
    changes = {
        "a word": (keys.TEXT_FEATURES, [1, 6, 5, 2, 0, 0, 0]),
        "the order of words": (keys.TEXT_FEATURES, [1, 5, 4, 2, 0, 0, 0]),
        "a patch": (keys.IMAGE_FEATURES, inputs[keys.IMAGE_FEATURES][0] + np.eye(4, 6)),
        "the order of patches": (keys.IMAGE_FEATURES, inputs[keys.IMAGE_FEATURES][0, ::-1]),
    }
    for what, (key, row) in changes.items():
        changed = {**inputs, key: inputs[key].copy()}
        changed[key][0] = row
        outputs = model(changed)
        for output in (keys.MATCH_LOGITS, keys.WORD_LOGITS, keys.PATCH_LOGITS):
            assert gap(base, outputs, output) > 1e-5, (what, output)
            assert gap(base, outputs, output, row=1) == 0, "one pair saw another"


def test_padding_is_not_seen(model):
    """A model for longer texts, with the same weights, says the same."""
    spec = DataSpec(
        FeatureSpec((4, 6)), FeatureSpec((9,), 11, PIECES), 2, np.zeros((2, 2), np.float32)
    )
    longer = single_stream_model(
        spec, PIECES, depth=2, hidden_dim=8, heads=2, dropout=0.1, hidden_words=2
    )
    for layer in longer.layers:
        weights = model.get_layer(layer.name).get_weights()
        if layer.name == "text_position":
            weights = [np.concatenate([weights[0], np.full((2, 8), 99.0)])]
        layer.set_weights(weights)
    inputs = make_inputs()
    padded = {**inputs, keys.TEXT_FEATURES: np.pad(inputs[keys.TEXT_FEATURES], ((0, 0), (0, 2)))}
    for key, value in model(inputs).items():
        np.testing.assert_allclose(longer(padded)[key], value, atol=1e-4)


def gelu(x):
    """BERT's own, google-research/bert modeling.py."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def test_words_are_guessed_by_the_head_of_bert():
    """Of the places 2, 4 and 5 the first two, in float64 by google-research/bert's get_masked_lm_output:
    dense, gelu, layer norm, the word embeddings, and a bias for each word."""
    model, inputs = make_search_model(), make_inputs()
    rng = np.random.default_rng(3)
    for name in ("word_head", "words"):
        layer = model.get_layer(name)
        layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    stream = model.get_layer("transformer_1").output
    x = keras.Model(model.input, stream)(inputs).numpy()[1, [2, 4]].astype(np.float64)
    head = {weight.name: weight.numpy() for weight in model.get_layer("word_head").weights}
    table = model.get_layer("words").get_weights()[0]
    assert {name: value.shape for name, value in head.items()} == {
        "kernel": (8, 8),
        "bias": (8,),
        "gamma": (8,),
        "beta": (8,),
        "output_bias": (11,),
        "embeddings": (11, 8),
    }
    np.testing.assert_array_equal(head["embeddings"], table, "one table, not a copy")
    x = gelu(x @ head["kernel"] + head["bias"])
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    x = x * head["gamma"] + head["beta"]
    expected = x @ table.T + head["output_bias"]
    np.testing.assert_allclose(model(inputs)[keys.WORD_LOGITS][1], expected, atol=1e-3)


def test_the_sign_of_an_id_is_not_seen(model):
    """It only says which words to guess: all else is as if it were not there."""
    inputs = make_inputs()
    unsigned = {**inputs, keys.TEXT_FEATURES: np.abs(inputs[keys.TEXT_FEATURES])}
    for key in (keys.MATCH_LOGITS, keys.PATCH_LOGITS):
        np.testing.assert_array_equal(model(inputs)[key], model(unsigned)[key])


def test_it_is_saved_whole(model, tmp_path):
    """The head reads the table of words, not a copy of its own, also once it is loaded."""
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert len(again.trainable_variables) == len(model.trainable_variables)
    assert len({id(weight) for weight in again.weights}) == len(again.weights)
    words = again.get_layer("words")
    assert again.get_layer("word_head").token_embedding is words
    inputs = make_inputs()
    before = again(inputs)[keys.WORD_LOGITS]
    for key, value in model(inputs).items():
        np.testing.assert_allclose(again(inputs)[key], value, atol=1e-5)
    words.set_weights([2 * weight for weight in words.get_weights()])
    assert gap({0: before}, {0: again(inputs)[keys.WORD_LOGITS]}, 0) > 1e-3


def test_dropout_is_for_training(model):
    inputs = make_inputs()
    assert gap(model(inputs), model(inputs)) == 0
    assert gap(model(inputs, training=True), model(inputs, training=True)) > 1e-4


def test_it_starts_from_a_bert():
    """Text alone, no patches to attend to: equal to the BERT itself, of whose layers it takes two."""
    keras.utils.set_random_seed(0)
    bert = keras_hub.models.BertBackbone(11, 3, 2, 8, 32, max_sequence_length=12)
    spec = DataSpec(
        FeatureSpec((4, 6)), FeatureSpec((7,), 11, PIECES), 2, np.zeros((2, 2), np.float32)
    )
    model = single_stream_model(
        spec, PIECES, depth=2, hidden_dim=8, heads=2, dropout=0.1, hidden_words=2
    )
    start_from(model, bert)
    inputs = make_inputs()
    text = keras.Model(model.input, model.get_layer("text_norm").output)(inputs)
    ids = np.abs(inputs[keys.TEXT_FEATURES])
    embedded = keras.Model(bert.input, bert.get_layer("embeddings_layer_norm").output)
    expected = embedded(
        {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": (ids > 0).astype("int32")}
    )
    np.testing.assert_allclose(text, expected, atol=1e-5)
    for ours, theirs in (
        ("transformer_0", "transformer_layer_0"),
        ("transformer_1", "transformer_layer_1"),
        ("pooler", "pooled_dense"),
        ("segments", "segment_embedding"),
    ):
        for one, other in zip(
            model.get_layer(ours).get_weights(), bert.get_layer(theirs).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_seeds_decide_the_start_and_no_two_layers_start_alike():
    def weights(seed):
        keras.utils.set_random_seed(seed)
        spec = DataSpec(
            FeatureSpec((4, 8)), FeatureSpec((4,), 11, PIECES), 2, np.zeros((2, 2), np.float32)
        )
        model = single_stream_model(
            spec, PIECES, depth=2, hidden_dim=8, heads=2, dropout=0.1, hidden_words=2
        )
        return [w for w in model.get_weights() if w.std() > 0]

    for again, before in zip(weights(1), weights(1), strict=True):
        np.testing.assert_array_equal(again, before)
    assert not any(map(np.array_equal, weights(1), weights(2)))
    squares = [w for w in weights(1) if w.shape == (8, 8)]
    assert len({w.tobytes() for w in squares}) == len(squares) > 2
