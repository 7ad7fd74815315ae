"""What --class_encoder can name beside text encoders: skip_gram and random."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import words
from huse_tf.features.class_names import class_name_encoder
from huse_tf.features.random_vectors import random_vectors
from huse_tf.features.skip_gram import skip_gram, terms
from huse_tf.sections import FeatureConfig

PATHS = [
    ("Furniture", "Seats", "Arm chair"),
    ("Furniture", "Seats", "Sofa"),
    ("Light", "Lamps", "Floor lamp"),
    ("Light", "Lamps", "Wall-mounted sconce"),
]
# The texts name neither the arm chair nor the sconce.
TEXTS = [
    f"{word} {number}: {more}"
    for number in range(400)
    for word, more in (
        ("Sofa", "soft seats, cushion, leather"),
        ("A floor lamp", "bright bulb, cable, light"),
    )
]


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.fixture(scope="module")
def vectors():
    encode = skip_gram("skip_gram:40", TEXTS, PATHS)
    return lambda *names: encode(list(names))


@pytest.fixture(scope="module")
def told():
    """By the class tree too."""
    encode = skip_gram("skip_gram:40:paths", TEXTS, PATHS)
    return lambda *names: encode(list(names))


def test_names_of_several_words_are_one_term_where_they_stand_in_a_row():
    lexicon = {("floor", "lamp"), ("floor", "lamp", "shade"), ("lamp",), ("arm", "chair")}
    text = [
        "a",
        "floor",
        "lamp",
        "shade",
        "on",
        "a",
        "floor",
        "lamp",
        "by",
        "the",
        "floor",
        "near",
        "an",
        "arm",
    ]
    expected = [
        "a",
        "floor_lamp_shade",
        "on",
        "a",
        "floor_lamp",
        "by",
        "the",
        "floor",
        "near",
        "an",
        "arm",
    ]
    assert terms(text, lexicon) == expected
    assert terms(["floor", "lamp"], {("lamp",)}) == ["floor", "lamp"]
    assert terms([], lexicon) == []


def test_every_class_has_a_vector_of_the_size_asked_for(vectors):
    found = vectors(*(path[-1] for path in PATHS), "wall mounted SCONCE")
    assert found.shape == (5, 40)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1).min() > 1e-3
    np.testing.assert_array_equal(found[4], found[3])
    assert np.linalg.matrix_rank(found[:4]) == 4
    assert skip_gram("skip_gram", TEXTS, PATHS)(["Sofa"]).shape == (1, 200)
    assert skip_gram("skip_gram:paths", TEXTS, PATHS)(["Furniture"]).shape == (1, 200)


def test_the_class_tree_is_not_told(vectors):
    """The same names in any tree have the same vectors, and its upper levels have none."""
    other = [("Seats", "Arm chair"), ("Light", "Sofa"), ("Seats", "Floor lamp")]
    other = skip_gram("skip_gram:40", TEXTS, [*other, ("Furniture", "Wall-mounted sconce")])
    leaves = [path[-1] for path in PATHS]
    np.testing.assert_array_equal(other(leaves), vectors(*leaves))
    assert not vectors("Furniture", "Lamps").any()


def test_a_leaf_that_needs_its_parent_to_be_told_apart_is_told_with_it():
    paths = [("Garden", "Other"), ("Kitchen", "Other"), ("Kitchen", "Sofa")]
    one, two, three = skip_gram("skip_gram:8", TEXTS, paths)(
        ["Garden Other", "Kitchen Other", "Sofa"]
    )
    assert min(np.abs(one - two).max(), np.abs(three).max()) > 1e-3


def test_with_paths_a_class_without_a_text_lies_near_its_sister(told):
    """Arm chair and sconce are in no text; their parents' and sisters' names carry them."""
    arm_chair, sofa, lamp, sconce = told(*(path[-1] for path in PATHS))
    assert cosine(arm_chair, sofa) > cosine(arm_chair, lamp) + 0.1
    assert cosine(sconce, lamp) > cosine(sconce, sofa) + 0.1


def test_texts_teach_what_a_word_means(vectors):
    sofa, lamp, leather, bulb = vectors("Sofa", "Floor lamp", "leather", "bulb")
    assert cosine(sofa, leather) > cosine(sofa, bulb) + 0.1
    assert cosine(lamp, bulb) > cosine(lamp, leather) + 0.1


def test_a_name_of_several_terms_is_their_mean(vectors):
    """As where a leaf's name needs its parent's to be told apart; unknown words do not count."""
    both, leather, sofa = vectors("Leather Sofa unheard-of", "leather", "Sofa")
    np.testing.assert_allclose(both, (leather + sofa) / 2, atol=1e-6)
    assert not vectors("unheard-of").any()


def test_the_same_catalogue_gives_the_same_vectors(vectors):
    again = skip_gram("skip_gram:40", TEXTS, PATHS)
    np.testing.assert_array_equal(again(["Sofa", "bulb"]), vectors("Sofa", "bulb"))


def test_sentences_read_in_pieces_give_the_vectors_of_sentences_in_a_list(vectors, monkeypatch):
    from gensim import models

    class Column:
        def __iter__(self):
            return iter(TEXTS)

    passes = []

    def learn(sentences, **settings):
        passes.append(len(list(sentences)))
        return word2vec(list(sentences), **settings)

    word2vec = models.Word2Vec
    monkeypatch.setattr(words, "_CHUNK", 300)
    pieces = skip_gram("skip_gram:40", Column(), PATHS)
    np.testing.assert_array_equal(pieces(["Sofa", "bulb"]), vectors("Sofa", "bulb"))
    monkeypatch.setattr(models, "Word2Vec", learn)
    in_a_list = skip_gram("skip_gram:40", Column(), PATHS)
    np.testing.assert_array_equal(in_a_list(["Sofa", "bulb"]), vectors("Sofa", "bulb"))
    assert passes[0] > len(TEXTS)


@pytest.mark.slow  # TensorFlow is imported once more
def test_the_same_catalogue_gives_the_same_vectors_in_every_process(vectors):
    """Also under another PYTHONHASHSEED, which orders sets otherwise."""
    script = (
        "import sys; sys.path[:0] = ['tests/features', '.']\n"
        "from test_class_names import PATHS, TEXTS\n"
        "from huse_tf.features.skip_gram import skip_gram\n"
        "print(skip_gram('skip_gram:40', TEXTS, PATHS)(['Sofa']).tobytes().hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=pathlib.Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == vectors("Sofa").tobytes().hex()


def test_without_gensim_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(UserError, match=r"pip install 'huse_tf\[skip_gram\]'"):
        skip_gram("skip_gram", TEXTS, PATHS)


@pytest.mark.parametrize("paths", [[("!!",), ("??",)], [("Lamp",), ("lamp!",)]])
def test_fewer_than_two_words_are_refused(paths):
    with pytest.raises(UserError, match="two distinct words"):
        skip_gram("skip_gram", [""], paths)


def test_a_name_without_words_has_no_vector():
    """The caller refuses such a class by name."""
    encode = skip_gram("skip_gram:8", [], [("a lamp",), ("??",)])
    assert encode(["a lamp", "??"]).any(axis=1).tolist() == [True, False]


def test_random_vectors_are_a_function_of_the_name():
    encode = random_vectors("random:300", [], [])
    one, other = encode(["Sofa", "Lamp"]), encode(["Lamp"])
    np.testing.assert_array_equal(one[1], other[0])
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-6)
    # Of two directions in 300 dimensions the cosine is about 1 / sqrt(300) = .06.
    assert abs(cosine(*one)) < 0.3
    assert encode(["Sofa", "Lamp"]).dtype == np.float32
    assert random_vectors("random", [], [])(["Sofa"]).shape == (1, 500)


@pytest.mark.parametrize("spec", ["skip_gram:tree", "skip_gram:paths:20", "skip_gram:0:paths"])
def test_skip_gram_says_what_it_takes(spec):
    with pytest.raises(UserError, match=rf"skip_gram:200:paths.*{spec}"):
        skip_gram(spec, TEXTS, PATHS)


@pytest.mark.parametrize("spec", ["random:0", "random:many", "skip_gram:-1"])
def test_sizes_are_positive_numbers(spec):
    encode = class_name_encoder(FeatureConfig(class_encoder=spec), TEXTS, PATHS)
    with pytest.raises(UserError, match=rf"positive number.*{spec}"):
        encode(["Sofa"])


def test_unknown_names_are_refused_with_a_suggestion():
    encode = class_name_encoder(FeatureConfig(class_encoder="skipgram"), TEXTS, PATHS)
    with pytest.raises(UserError, match=r"Unknown class encoder.*Did you mean 'skip_gram'"):
        encode(["Sofa"])


def test_it_learns_once_and_only_when_asked(monkeypatch):
    from huse_tf.features import class_names

    learnt = []

    def learn(spec, texts, paths):
        learnt.append((spec, texts, paths))
        return lambda names: np.array([[float(name != "???")] for name in names])

    monkeypatch.setattr(class_names, "class_encoder", lambda spec: learn)
    encode = class_name_encoder(FeatureConfig(class_encoder="new"), TEXTS, PATHS)
    assert not learnt
    assert encode(["a", "b"]).tolist() == [[1], [1]] == encode(["c", "d"]).tolist()
    assert learnt == [("new", TEXTS, PATHS)]
    with pytest.raises(UserError, match=r"knows no word of the class names \?\?\?"):
        encode(["a", "???"])


def test_a_name_that_cannot_be_encoded_is_told_with_the_reason(tmp_path):
    class Reciprocal(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, texts):
            return {"default": 1 / tf.cast(tf.strings.length(texts)[:, None] - 4, tf.float32)}

    module = Reciprocal()
    tf.saved_model.save(module, tmp_path / "model", {"serving_default": module.serve})
    config = FeatureConfig(
        class_encoder=f"saved_model:{tmp_path / 'model'}", cache_dir=str(tmp_path / "cache")
    )
    encode = class_name_encoder(config, TEXTS, PATHS)
    assert encode(["Light"]).tolist() == [[1]]
    with pytest.raises(UserError, match=r"cannot encode the class name 'Sofa': .*not finite"):
        encode(["Light", "Sofa"])


def test_word_ids_are_no_vectors_of_names():
    encode = class_name_encoder(FeatureConfig(class_encoder="word_cnn"), TEXTS, PATHS)
    with pytest.raises(UserError, match="gives word ids"):
        encode(["Sofa"])
