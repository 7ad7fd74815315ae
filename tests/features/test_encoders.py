"""Encoders by name, joining them, and what every encoder promises."""

from __future__ import annotations

import ast
import json
import pathlib
import pkgutil
import re

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import words
from huse_tf.features.encoder import Encoder
from huse_tf.features.registry import (
    IMAGE_ENCODERS,
    TEXT_ENCODERS,
    make_image_encoder,
    make_text_encoder,
)

TEXTS = ["Red sofa, two seats", "Blue sofa", "lamp", "red, red lamp!", ""]


@pytest.mark.parametrize("name", sorted({*IMAGE_ENCODERS.values(), *TEXT_ENCODERS.values()}))
def test_every_name_leads_to_an_encoder(name):
    assert issubclass(pkgutil.resolve_name(name), Encoder)


def test_names_are_known_without_tensorflow():
    """Help reads registry.py, so it has no heavy import at its top."""
    source = pathlib.Path(__file__).parents[2] / "huse_tf/features/registry.py"
    body = ast.parse(source.read_text(encoding="utf-8")).body
    imported = {
        getattr(node, "module", None) or node.names[0].name
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"__future__", "huse_tf", "pkgutil", "typing", "huse_tf.errors"}


@pytest.mark.parametrize(
    ("make", "spec", "message"),
    [
        (make_image_encoder, "efficientnet_lite", r"Unknown image encoder.*'efficientnet_lite0'\?"),
        (make_text_encoder, "minilm+tfidff", r"Unknown text encoder.*'tfidff'.*'tfidf'\?"),
        (make_text_encoder, "minilm:large", r"takes no argument.*Received: 'minilm:large'"),
        (make_text_encoder, "tfidf:many", r"positive number.*tfidf:5000.*Received: 'tfidf:many'"),
        (make_text_encoder, "tfidf:0", "positive number"),
        (make_text_encoder, "word_cnn+tfidf", "'word_cnn' gives word ids, which cannot be joined"),
        (
            make_text_encoder,
            "bert_last4:bert",
            r"Expected bert_last4:minilm or .*'bert_last4:bert'",
        ),
        (make_image_encoder, "keras_hub", "keras_hub needs a preset"),
        (make_image_encoder, "keras_applications:VGG15", r"Unknown network.*'VGG19'\?"),
    ],
)
def test_errors_teach(make, spec, message):
    with pytest.raises(UserError, match=message):
        make(spec)


def tfidf_oracle(train, texts, limit):
    """Counts times log(1 + N / (1 + df)) over the most frequent words, rows of unit norm."""
    split = [re.findall(r"\w+", text.lower()) for text in train]
    every = [word for words in split for word in words]
    vocabulary = sorted(set(every), key=lambda word: (-every.count(word), word))[:limit]
    rows = np.zeros((len(texts), len(vocabulary)))
    for row, text in zip(rows, texts, strict=True):
        for column, word in enumerate(vocabulary):
            containing = sum(word in words for words in split)
            count = re.findall(r"\w+", text.lower()).count(word)
            row[column] = count * np.log(1 + len(train) / (1 + containing))
        row /= max(np.linalg.norm(row), 1e-12)
    return rows


@pytest.mark.parametrize("limit", [3, 5000])
def test_tfidf_equals_oracle(limit):
    encoder = make_text_encoder(f"tfidf:{limit}")
    encoder.fit(TEXTS)
    unseen = [*TEXTS, "a green lamp, a RED one", "green"]
    expected = tfidf_oracle(TEXTS, unseen, limit)
    assert encoder.feature_spec.shape == (expected.shape[1],)
    np.testing.assert_allclose(encoder(tf.constant(unseen)), expected, atol=1e-6)


@pytest.mark.parametrize("spec", ["tfidf:3", "word_cnn", "tfidf+tfidf:2"])
def test_texts_are_read_in_pieces(spec, monkeypatch):
    """And may be a column on disk: something without length, made anew for each who reads it."""

    class Column:
        def __iter__(self):
            return iter(TEXTS)

    whole, pieces = make_text_encoder(spec), make_text_encoder(spec)
    whole.fit(TEXTS)
    monkeypatch.setattr(words, "_CHUNK", 2)
    pieces.fit(Column())
    assert pieces.state() == whole.state()


def test_words_of_other_scripts():
    encoder = make_text_encoder("tfidf")
    encoder.fit(["ÉTAGÈRE/étagère", "стол — СТОЛ"])
    assert encoder.state()["words"] == ["étagère", "стол"]


def test_word_ids():
    """Counts in TEXTS: red 3, lamp 2, sofa 2, then blue, seats, two: ids from 2 in this order."""
    encoder = make_text_encoder("word_cnn:3")
    encoder.fit(TEXTS)
    ids = encoder(tf.constant(["Lamp RED blue two", "red? green", ""]))
    assert ids.dtype == tf.int32
    np.testing.assert_array_equal(ids, [[3, 2, 5], [2, 1, 0], [0, 0, 0]])
    spec = encoder.feature_spec
    assert (spec.shape, spec.vocabulary_size, spec.dtype) == ((3,), 8, "int32")


@pytest.mark.parametrize("spec", ["tfidf", "word_cnn"])
def test_vocabularies_must_be_fitted(spec):
    encoder = make_text_encoder(spec)
    for use in (lambda: encoder(tf.constant(TEXTS)), lambda: encoder.feature_spec, encoder.state):
        with pytest.raises(UserError, match="has no vocabulary yet"):
            use()
    with pytest.raises(UserError, match="hold no words"):
        encoder.fit(["", "!?"])


@pytest.mark.parametrize("spec", ["tfidf:4", "word_cnn:5", "tfidf:2+tfidf"])
def test_state_rebuilds_the_encoder(spec):
    encoder = make_text_encoder(spec)
    encoder.fit(TEXTS)
    state = json.loads(json.dumps(encoder.state()))
    rebuilt = make_text_encoder(spec, state)
    np.testing.assert_array_equal(rebuilt(tf.constant(TEXTS)), encoder(tf.constant(TEXTS)))
    assert rebuilt.fingerprint == encoder.fingerprint
    other = make_text_encoder(spec)
    other.fit([*TEXTS, "one more lamp"])
    assert other.fingerprint != encoder.fingerprint


def test_joined_features_stand_in_a_row():
    joined = make_text_encoder("tfidf:2+tfidf:3")
    joined.fit(TEXTS)
    assert joined.feature_spec.shape == (5,)
    parts = [make_text_encoder(spec) for spec in ("tfidf:2", "tfidf:3")]
    for part in parts:
        part.fit(TEXTS)
    expected = np.concatenate([part(tf.constant(TEXTS)) for part in parts], axis=1)
    np.testing.assert_array_equal(joined(tf.constant(TEXTS)), expected)


def test_state_of_another_encoder_is_refused():
    tfidf = make_text_encoder("tfidf")
    tfidf.fit(TEXTS)
    with pytest.raises(UserError, match="does not belong to 'tfidf"):
        make_text_encoder("tfidf+tfidf", tfidf.state())
    with pytest.raises(UserError, match="does not belong to 'tfidf'"):
        make_text_encoder("tfidf", {})


@pytest.mark.parametrize("spec", ["tfidf", "word_cnn", "tfidf:2+tfidf"])
def test_exported_equals_in_memory(spec, tmp_path):
    encoder = make_text_encoder(spec)
    encoder.fit(TEXTS)
    check_export(encoder, TEXTS, tmp_path)


def check_export(encoder, inputs, folder):
    """A SavedModel of the encoder gives what the encoder gives."""
    inputs = tf.constant(inputs)
    module = tf.Module()
    module.encoder = encoder
    module.encode = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])
    expected = module.encode(inputs).numpy()
    assert expected.shape[1:] == encoder.feature_spec.shape
    assert expected.dtype == encoder.feature_spec.dtype
    tf.saved_model.save(module, str(folder / "export"))
    loaded = tf.saved_model.load(str(folder / "export"))
    np.testing.assert_allclose(loaded.encode(inputs), expected, atol=1e-6)
