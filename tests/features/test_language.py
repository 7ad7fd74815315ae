"""Texts in another language than the encoder's are told from texts in it."""

import csv
import pathlib

import numpy as np
import pytest

from huse_tf.features.joined import Joined
from huse_tf.features.language import alphabets, language_warning
from huse_tf.features.minilm import load_minilm_tokenizer
from huse_tf.features.tfidf import TfIdf

CATALOGUE = pathlib.Path(__file__).parents[2] / "experiments/home_goods/catalogue.csv"
GERMAN = [
    "Sessel aus Eiche mit Stoffbezug",
    "Damen Winterjacke mit Kapuze, wasserdicht",
    "Kaffeemaschine mit Glaskanne 1,25 l",
    "Schreibtischlampe, dimmbar, schwarz",
    "Bettwäsche aus Baumwolle 135 x 200 cm",
]
JAPANESE = ["木製の椅子 クッション付き", "ステンレス水筒 500ml", "革のハンドバッグ 黒"]
RUSSIAN = ["Деревянный стул с мягкой спинкой", "Женская зимняя куртка"]


class MiniLmPieces:
    """The tokenizer of MiniLM without its network."""

    spec = "minilm"

    def __init__(self):
        self.tokenizer = load_minilm_tokenizer()

    def vocabulary(self):
        return self.tokenizer.get_vocabulary()

    def token_counts(self, texts):
        ids = self.tokenizer([text.lower() for text in texts])
        return np.array([len(row) for row in ids]) + 2, 256


@pytest.fixture(scope="module")
def minilm():
    return MiniLmPieces()


def test_german_needs_many_pieces(minilm):
    warning = language_warning(minilm, GERMAN)
    assert "minilm may not know the language" in warning
    assert "pieces on average" in warning and "'Schreibtischlampe'" in warning
    assert "keras_hub:multilingual_e5_small" in warning


@pytest.mark.parametrize(
    ("texts", "alphabet", "example"),
    [(JAPANESE, "KATAKANA 92", "'クッション付き'"), (RUSSIAN, "CYRILLIC 86", "'Деревянный'")],
)
def test_other_alphabets(minilm, texts, alphabet, example):
    warning = language_warning(minilm, texts)
    assert alphabet in warning and example in warning


def test_english_catalogues_pass(minilm):
    with open(CATALOGUE, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        language_warning(minilm, (f"{row['name']}. {row['description']}" for row in rows)) is None
    )
    assert language_warning(minilm, ["Resistor 0805, 2012 Metric", "42", ""]) is None


def test_a_few_foreign_names_pass(minilm):
    """5 % of the distinct words are the limit."""
    assert language_warning(minilm, ["oak chair with four long legs"] * 9 + ["café"]) is not None
    words = "oak chair with four long legs in dark brown wood for a small living room and kitchen table red"
    assert language_warning(minilm, [words, "blue green white", "café"]) is None


def test_encoders_that_learn_words_are_not_asked():
    encoder = TfIdf("tfidf")
    assert language_warning(encoder, JAPANESE) is None
    assert Joined("tfidf+tfidf", [encoder, encoder]).vocabulary() == ()


def test_alphabets():
    assert alphabets("naïve") == {"LATIN", "accented Latin"}
    assert alphabets("コーヒー") == {"KATAKANA"}
