"""An export answers in the C++ loader of TF Serving, in a session, and in saved_model_cli."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from loaders import CLI_LOADER, LOADERS, SESSION_LOADER, differences_by_signature
from tiny_models import PATHS, WEIGHT, AverageColour, Encoder, build

from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.errors import UserError
from huse_tf.features.registry import make_text_encoder
from huse_tf.serving import artefact, c_library, check
from huse_tf.serving.check import C_LOADER, PYTHON_LOADER, ask
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph, refuse_unrestored, unrestored
from huse_tf.spec import FeatureSpec


class Deep(Encoder):
    """Image files -> [batch, 3], through a Keras model in a nested module."""

    fingerprint = "2" * 64
    feature_spec = FeatureSpec((3,))
    _identity = None

    def __init__(self):
        super().__init__("deep")
        keras.utils.set_random_seed(1)
        self.inner = tf.Module()
        self.inner.network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        self.colours = AverageColour()

    def __call__(self, inputs):
        return self.inner.network(self.colours(inputs))


@pytest.fixture(scope="module")
def text_encoder():
    encoder = make_text_encoder("tfidf")  # with a hash table
    encoder.fit(["red shirt", "blue cotton shoe", "oak chair"])
    return encoder


@pytest.fixture(scope="module")
def model(text_encoder):
    return build(len(PATHS), FeatureSpec(text_encoder.feature_spec.shape))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model, text_encoder):
    folder = tmp_path_factory.mktemp("saved_models") / "tiny" / "1"
    return export_model(Exported(model, Deep(), text_encoder, Taxonomy(PATHS), WEIGHT), folder)


@pytest.fixture(scope="module")
def asked_and_answers(folder):
    """(questions, {loader: answers}) of both loaders of the check, each in a new process."""
    asked = questions(read_graph(folder))
    return asked, {loader: ask(loader, folder, asked) for loader in (C_LOADER, PYTHON_LOADER)}


def test_the_c_loader_answers_as_python(asked_and_answers):
    asked, answers = asked_and_answers
    differences = differences_by_signature(asked, answers[C_LOADER], answers[PYTHON_LOADER])
    assert len(differences) == 9


@pytest.mark.parametrize(
    "loader", [pytest.param(SESSION_LOADER, marks=pytest.mark.slow), CLI_LOADER]
)
def test_a_session_and_the_command_line_tool_answer_as_python(
    folder, asked_and_answers, loader, monkeypatch
):
    """In new processes. The tool loads the model for every question, so it gets one question."""
    asked, answers = asked_and_answers
    expected = answers[PYTHON_LOADER]
    monkeypatch.setenv("PYTHONPATH", LOADERS)
    if loader == CLI_LOADER:
        place = [(each.signature, each.about) for each in asked].index(("classify", "two rows"))
        asked, expected = [asked[place]], [expected[place]]
    differences_by_signature(asked, ask(loader, folder, asked), expected)


def test_questions_cover_complete_rows_and_missing_and_broken_inputs(asked_and_answers):
    asked, answers = asked_and_answers
    of = {(each.signature, each.about): answer for each, answer in zip(asked, answers[C_LOADER])}  # noqa: B905
    assert len(of) == len(asked) == 4 * 5 + 5 * 7
    for (name, about), answer in of.items():
        rows = {len(array) for array in answer.outputs.values()}
        if about == "uneven inputs":
            assert answer.code == tf.errors.INVALID_ARGUMENT, (name, about)
            assert "must have equally many rows" in answer.message
        else:
            assert rows == {{"one row": 1, "no rows": 0}.get(about, 2)}, (name, about)
    for name in ("embed_image", "embed_product", "classify", "serving_default"):
        whole, broken = (of[name, about].outputs for about in ("two rows", "a broken row"))
        assert broken["status"][0] == b"" and b"cannot be encoded" in broken["status"][1]
        for key in set(whole) - {"status", "classes"}:
            np.testing.assert_allclose(broken[key][0], whole[key][0], atol=1e-6)
            assert not broken[key][1].any()
    nothing = of["classify", "a row without anything"].outputs["status"].tolist()
    assert nothing == [b"", b"Every row needs its image_bytes or its text."]
    embeddings = of["serving_default", "rows that lack one input"].outputs
    np.testing.assert_allclose(
        np.linalg.norm(embeddings["image_embedding"], axis=1), [0, 1], atol=1e-6
    )
    np.testing.assert_allclose(
        np.linalg.norm(embeddings["text_embedding"], axis=1), [1, 0], atol=1e-6
    )


def test_both_loaders_refuse_with_the_same_message(asked_and_answers):
    asked, answers = asked_and_answers
    refused = 0
    for each, ours, theirs in zip(asked, answers[C_LOADER], answers[PYTHON_LOADER], strict=True):
        assert ours.code == theirs.code, each
        if ours.code:
            words = ours.message.partition("assertion failed: ")[2].partition("]")[0]
            assert words and words in theirs.message
            refused += 1
    assert refused == 5


def test_a_tracked_keras_model_is_refused(tmp_path):
    """The saver restores copies of its variables, but the graph reads the originals."""
    encoder = Deep()
    call = tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    module = tf.Module()
    module.encoder = encoder
    tf.saved_model.save(module, tmp_path, signatures={"embed": call.get_concrete_function()})
    assert len(unrestored(read_graph(tmp_path))) == 2
    with pytest.raises(UserError, match=r"2 variables .* no entry .*: sequential.*/bias"):
        refuse_unrestored(tmp_path)


def export_of_features(folder, checked):
    exported = Exported(build(3), None, None, Taxonomy(PATHS[:3]), WEIGHT)
    return export_model(exported, folder, checked=checked)


def test_an_export_that_fails_the_check_does_not_appear(tmp_path, monkeypatch):
    def fails(folder):
        assert (folder / "saved_model.pb").is_file()
        raise UserError("It does not answer.")

    monkeypatch.setattr(artefact, "first_check", fails)
    with pytest.raises(UserError, match="does not answer"):
        export_of_features(tmp_path / "1", checked=True)
    assert not list(tmp_path.iterdir())


def test_the_card_holds_the_result_of_the_check(tmp_path, monkeypatch):
    checked = [check.Checked("embed_text", 4, 1e-7), check.Checked("classify", 6, 2e-7)]
    monkeypatch.setattr(artefact, "first_check", lambda folder: checked)
    cards = []
    for version, asked in (("1", True), ("2", False)):
        card = export_of_features(tmp_path / version, asked) / "card.json"
        cards.append(json.loads(card.read_text())["serving"]["check"])
    assert cards[1] is None and "not checked" in check.sentence(cards[1])
    assert cards[0] == {
        "signatures": 2,
        "requests": 10,
        "largest_difference": 2e-7,
        "tensorflow": tf.__version__,
    }
    assert check.sentence(cards[0]).startswith("2 signatures answered by TensorFlow's C++ loader")


def test_the_check_counts_requests_and_names_differences(folder, asked_and_answers, monkeypatch):
    asked, answers = asked_and_answers
    monkeypatch.setattr(check, "ask", lambda loader, folder, asked: answers[loader])
    monkeypatch.setattr(
        check, "read_canaries", lambda folder, graph: []
    )  # tests/serving/test_artefact.py
    assert [(each.signature, each.requests) for each in check.check(folder)] == [
        ("class_scores", 7),
        ("classify", 7),
        ("classify_image", 5),
        ("classify_names", 7),
        ("classify_text", 5),
        ("embed_image", 5),
        ("embed_product", 7),
        ("embed_text", 5),
        ("serving_default", 7),
    ]
    spoiled = list(answers[C_LOADER])
    place = next(i for i, each in enumerate(asked) if each.signature == "embed_text")
    outputs = spoiled[place].outputs
    changed = {"text_embedding": outputs["text_embedding"] * 1.01}
    spoiled[place] = spoiled[place]._replace(outputs=outputs | changed)
    monkeypatch.setitem(answers, C_LOADER, spoiled)
    with pytest.raises(UserError, match=r"in 1 of 55 requests:\n  embed_text, two rows: text_emb"):
        check.check(folder)


def test_the_error_of_a_failed_loader_ends_with_its_output(tmp_path):
    with pytest.raises(UserError, match=r"(?s)cannot load .*exit status 1.*SavedModel \.pb"):
        check.ask(C_LOADER, tmp_path, [])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"it has no saved_model\.pb.*such as saved_models/NAME/1"):
        check.check(tmp_path)


def test_a_missing_library_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(c_library, "_package", lambda name: tmp_path)
    with pytest.raises(UserError, match=r"Expected libtensorflow_cc\.so\.2 in the package"):
        check.check(tmp_path)
