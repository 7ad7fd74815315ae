"""Text columns encoded one by one."""

import json

import numpy as np
import pytest
import tensorflow as tf
from test_encoders import check_export

from huse_tf.errors import UserError
from huse_tf.features.registry import make_text_encoder

SPEC = "fields:3:tfidf:4"
# Texts of three columns as `join_columns` makes them: all there, some empty, one alone, too many.
TEXTS = [
    "red sofa [SEP] two seats, red [SEP] oak",
    "[SEP] lamp [SEP]",
    "blue lamp",
    "sofa [SEP] [SEP] oak [SEP] red",
]
COLUMNS = [
    ["red sofa", "two seats, red", "oak"],
    ["", "lamp", ""],
    ["blue lamp", "", ""],
    ["sofa", "", "oak [SEP] red"],
]


def fitted(spec=SPEC, texts=TEXTS):
    encoder = make_text_encoder(spec)
    encoder.fit(texts)
    return encoder


def test_each_column_is_encoded_by_itself_and_empty_ones_are_zero():
    encoder = fitted()
    inner = fitted("tfidf:4", [column for row in COLUMNS for column in row if column])
    expected = [
        np.concatenate([inner(tf.constant([column]))[0] * (column != "") for column in row])
        for row in COLUMNS
    ]
    found = encoder(tf.constant(TEXTS)).numpy()
    assert encoder.feature_spec.shape == (12,) and encoder.feature_spec.fields == 3
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found[3, 8:]).max() > 0  # what is too much is not lost


def test_an_encoder_that_says_something_of_nothing_is_not_asked():
    """MiniLM has a vector for the empty text; that of a missing column is zero all the same."""
    encoder, minilm = make_text_encoder("fields:2:minilm"), make_text_encoder("minilm")
    found = encoder(tf.constant(["oak chair [SEP]"])).numpy()[0]
    assert np.abs(minilm(tf.constant([""]))).max() > 0
    np.testing.assert_allclose(found[:384], minilm(tf.constant(["oak chair"]))[0], atol=1e-5)
    np.testing.assert_array_equal(found[384:], 0)


def test_tokens_are_those_of_the_longest_column():
    encoder, minilm = make_text_encoder("fields:2:minilm"), make_text_encoder("minilm")
    counts, limit = encoder.token_counts(["lamp [SEP] oak chair with arms", "oak chair [SEP]"])
    expected, same_limit = minilm.token_counts(["oak chair with arms", "oak chair"])
    assert counts.tolist() == expected.tolist() and limit == same_limit
    assert fitted().token_counts(TEXTS) is None


def test_its_state_rebuilds_it():
    encoder = fitted()
    rebuilt = make_text_encoder(SPEC, json.loads(json.dumps(encoder.state())))
    np.testing.assert_array_equal(rebuilt(tf.constant(TEXTS)), encoder(tf.constant(TEXTS)))
    assert rebuilt.fingerprint == encoder.fingerprint
    assert fitted("fields:2:tfidf:4").fingerprint != encoder.fingerprint
    assert fitted("tfidf:4").fingerprint != encoder.fingerprint


def test_exported_equals_in_memory(tmp_path):
    check_export(fitted(), TEXTS, tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fields", r"number of text columns.*fields:2:minilm.*Received: 'fields'"),
        ("fields:1:minilm", "two or more"),
        ("fields:2", "two or more"),
        ("fields:minilm", "two or more"),
        ("fields:2:minlm", r"Unknown text encoder.*'minlm'"),
        ("fields:2:word_cnn", "'word_cnn' gives word ids.*fields:2:minilm"),
        ("fields:2:tfidf+tfidf", "'fields:2:tfidf' gives a block of features per text column"),
    ],
)
def test_errors_teach(spec, message):
    with pytest.raises(UserError, match=message):
        make_text_encoder(spec)
