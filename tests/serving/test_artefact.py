"""What an export holds beside its graph: canaries, warm-up requests, cards, classes, vocabulary, licences."""

import base64
import collections
import contextlib
import dataclasses
import io
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from tiny_models import PATHS, WEIGHT, WORDS, AverageColour, BagOfWords

import huse_tf
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.errors import UserError
from huse_tf.features.licences import Licence
from huse_tf.serving import check
from huse_tf.serving.artefact import fingerprint
from huse_tf.serving.canary import canary_questions, read_canaries, write_canaries
from huse_tf.serving.exchange import Answer, Question
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Calibration, Exported, ProductPooling
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph

README = pathlib.Path(huse_tf.__file__).parents[1] / "saved_models" / "README.md"
TEMPERATURES = {"image": 1.5, "text": 1.2, "both": 0.8}
THRESHOLDS = {"image": 0.5, "text": None, "both": 0.4}
LICENCE = Licence("some weights", "MIT", "their page")


def exported_of(model, **changes):
    exported = Exported(
        model,
        AverageColour(),
        BagOfWords(),
        Taxonomy(PATHS),
        WEIGHT,
        calibration=Calibration(TEMPERATURES, THRESHOLDS, 0.9),
        product=ProductPooling(0.25),
        data_license="CC0-1.0",
        licences=(LICENCE,),
        card={"config": {"data": {"catalogue": "shop.csv"}, "method": {"name": "huse"}}},
    )
    return dataclasses.replace(exported, **changes)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, model):
    """(folder, loaded model) of an export whose check asks the canaries in this process, and nothing else."""
    loaded = []

    def ask(loader, folder, asked):
        loaded.append(loaded[0] if loaded else tf.saved_model.load(folder))
        return [answer(loaded[0], each) if each.about == "canary" else Answer({}) for each in asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "find_library", lambda: None)
        patch.setattr(check, "ask", ask)
        folder = tmp_path_factory.mktemp("saved_models") / "shop" / "1"
        export_model(exported_of(model), folder, checked=True)
    assert len(loaded) == 2  # both loaders
    return folder, loaded[0]


def answer(model, question):
    inputs = {name: tf.constant(array) for name, array in question.inputs.items()}
    outputs = model.signatures[question.signature](**inputs)
    return Answer({name: outputs[name].numpy() for name in question.fetches})


@pytest.fixture(scope="module")
def folder(exported):
    return exported[0]


@pytest.fixture(scope="module")
def loaded(exported):
    return exported[1]


@pytest.fixture(scope="module")
def entries(folder):
    return json.loads((folder / "assets.extra/canary.json").read_text(encoding="utf-8"))


@pytest.fixture
def answers(monkeypatch, folder):
    """Answers of both loaders of the check: those of the canaries, until a test changes some."""
    monkeypatch.setattr(check, "find_library", lambda: None)
    found = {
        canary.question.signature: canary.answer
        for canary in read_canaries(folder, read_graph(folder))
    }
    monkeypatch.setattr(
        check, "ask", lambda loader, folder, asked: [found[each.signature] for each in asked]
    )
    return found


def from_rest(value):
    """A value as TF Serving reads it from a REST request."""
    if isinstance(value, list):
        return [from_rest(each) for each in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def decoded(value):
    return [decoded(each) for each in value] if isinstance(value, list) else value.decode()


def test_a_canary_can_be_sent_as_it_is_and_gets_its_answer(entries, loaded):
    assert [each["signature"] for each in entries] == sorted(loaded.signatures)
    for each in entries:
        assert set(each) == {"signature", "inputs", "outputs", "tolerance"}
        assert each["tolerance"] == 1e-3
        function = loaded.signatures[each["signature"]]
        outputs = function(**{k: tf.constant(from_rest(v)) for k, v in each["inputs"].items()})
        assert set(outputs) == set(each["outputs"])
        for name, expected in each["outputs"].items():
            found = outputs[name].numpy()
            assert len(expected) == (3 if "status" in outputs else 2)
            if found.dtype == object:
                assert decoded(found.tolist()) == expected
            else:
                np.testing.assert_allclose(found, expected, atol=1e-6)
        if "status" in outputs:
            assert [not reason for reason in each["outputs"]["status"]] == [True, True, False]


def test_where_rows_can_fail_alone_the_last_row_of_a_canary_is_broken(monkeypatch):
    """Of each kind of input in the contract, with products of two images."""
    two = np.array([[b"i" * 100, b"j" * 100], [b"k" * 100, b""]], object)
    texts, names = np.array([b"a", b"b"], object), np.array([b"n", b"m"], object)
    inputs = {"image_bytes": two, "text": texts, "class_names": names, "weights": np.ones((2, 3))}
    made = Question("reads", "two rows", inputs, {}, dict.fromkeys(["status", "sizes"], ""))
    others = [made._replace(about="no rows"), made._replace(fetches={"scores": ""})]
    monkeypatch.setattr("huse_tf.serving.canary.questions", lambda graph: [made, *others])
    question, whole = canary_questions(None)
    assert whole.inputs is inputs  # no status: a broken row would fail the batch
    assert question.inputs["image_bytes"].tolist() == [*two.tolist(), [b"i" * 60, b""]]
    assert question.inputs["text"].tolist() == [b"a", b"b", b""]
    assert question.inputs["class_names"].tolist() == [b"n", b"m", b"n"]
    assert question.inputs["weights"].tolist() == [[1] * 3, [1] * 3, [0] * 3]


def test_canaries_are_read_as_they_were_written(tmp_path):
    """Of every type, with bytes that are not UTF-8 and a second dimension."""

    @tf.function
    def echo(text, image_bytes, weights):
        return {"text": text, "images": image_bytes, "ok": weights > 0}

    function = echo.get_concrete_function(
        text=tf.TensorSpec([None], tf.string),
        image_bytes=tf.TensorSpec([None, 2], tf.string),
        weights=tf.TensorSpec([None], tf.float32),
    )
    tf.saved_model.save(tf.Module(), tmp_path, signatures={"echo": function})
    graph = read_graph(tmp_path)
    inputs = {
        "image_bytes": np.array([[b"\xff\x00", b""], [b"a", b"b"]], object),
        "text": np.array(["größe".encode(), b"\xff"], object),
        "weights": np.array([0.5, -0.5], np.float32),
    }
    outputs = {
        "images": inputs["image_bytes"],
        "ok": np.array([True, False]),
        "text": inputs["text"],
    }
    write_canaries(tmp_path, [Question("echo", "canary", inputs, {}, {})], [Answer(outputs)])
    [canary] = read_canaries(tmp_path, graph)
    for found, expected in ((canary.question.inputs, inputs), (canary.answer.outputs, outputs)):
        assert list(found) == list(expected)
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (
            Answer({}, 3, "It is broken."),
            "signature a of .* refuses an ordinary request: It is broken",
        ),
        (Answer({"scores": np.array([[0.5, np.nan]])}), r"NaN or infinite, in scores.*--learning_"),
    ],
)
def test_an_unusable_answer_is_no_canary(tmp_path, answer, match):
    with pytest.raises(UserError, match=match):
        write_canaries(tmp_path, [Question("a", "canary", {}, {}, {})], [answer])
    assert not list(tmp_path.iterdir())


def test_the_check_asks_the_canaries(folder, answers):
    checked = check.check(folder)
    asked = collections.Counter(each.signature for each in questions(read_graph(folder)))
    assert {each.signature: each.requests for each in checked} == {
        name: count + 1 for name, count in asked.items()
    }


@pytest.mark.parametrize(("change", "refused"), [(9e-4, False), (1.1e-3, True)])
def test_a_version_that_answers_otherwise_than_its_canary_is_refused(
    folder, answers, change, refused
):
    """Both loaders agree; only the canary knows better."""
    known = answers["embed_text"].outputs
    other = known["text_embedding"] + np.float32(change)
    answers["embed_text"] = Answer({**known, "text_embedding": other})
    told = r"not answer as it did.*to 1e-03\. Received from TensorFlow's C\+\+ loader, .*embed_text: text_emb"
    with pytest.raises(UserError, match=told) if refused else contextlib.nullcontext():
        check.check(folder)


@pytest.mark.slow
def test_a_version_with_the_weights_of_another_is_refused_by_the_real_loaders(tmp_path, model):
    other = keras.models.clone_model(model)
    other.set_weights([weight * 1.2 for weight in model.get_weights()])
    first, second = (
        export_model(exported_of(each), tmp_path / name, checked=True)
        for name, each in (("1", model), ("2", other))
    )
    for folder in (first, second):
        check.check(folder)
    shutil.rmtree(first / "variables")
    (second / "variables").rename(first / "variables")
    with pytest.raises(UserError, match=r"does not answer as it did when it was exported"):
        check.check(first)


@pytest.mark.parametrize("content", ["{", "[]", '[{"signature": "classify"}]'])
def test_a_damaged_canary_is_refused(tmp_path, folder, content):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra/canary.json").write_text(content)
    with pytest.raises(
        UserError, match=r"canary\.json' is damaged.*of each signature: .*classify,"
    ):
        read_canaries(tmp_path, read_graph(folder))


def test_a_version_without_a_check_has_no_canary(tmp_path, folder):
    assert read_canaries(tmp_path, read_graph(folder)) == []


def test_the_loaded_model_answers_every_warm_up_request(folder, loaded, entries):
    """As TF Serving reads them: TFRecords of PredictionLog in assets.extra, at most 1000."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert len(logs) <= 1000
    asked = []
    for log, entry in zip(logs, entries, strict=True):
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        name = request.model_spec.signature_name
        asked.append(name)
        assert request.model_spec.name == "shop"
        inputs = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
        outputs = loaded.signatures[name](
            **{key: tf.constant(each) for key, each in inputs.items()}
        )
        for key, expected in entry["outputs"].items():
            if outputs[key].dtype != tf.string:
                np.testing.assert_allclose(outputs[key], expected, atol=1e-6)
    assert asked == sorted(loaded.signatures)


def test_the_fingerprint_is_of_the_model_and_not_of_the_export(folder, model, tmp_path):
    """The model from its file has it too; whatever changes an answer changes it."""
    known = json.loads((folder / "card.json").read_text())["serving"]["fingerprint"]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert known == fingerprint(exported_of(again, card={"other": 1})) and len(known) == 64
    trained = keras.models.clone_model(model)
    trained.set_weights([weight + 1e-3 for weight in model.get_weights()])
    text = BagOfWords()
    text.fingerprint = "2" * 64
    others = [
        exported_of(trained),
        exported_of(model, text_encoder=text),
        exported_of(model, image_encoder=None),
        exported_of(model, taxonomy=Taxonomy((*PATHS[:-1], ("other",)))),
        exported_of(model, fusion_weight=0.5),
        exported_of(model, multi_label=True),
        exported_of(model, calibration=None),
        exported_of(model, product=ProductPooling(0.5)),
    ]
    assert len({known, *map(fingerprint, others)}) == 1 + len(others)


def test_the_version_of_huse_tf_is_in_the_fingerprint(model, monkeypatch):
    before = fingerprint(exported_of(model))
    monkeypatch.setattr(huse_tf, "__version__", "99")
    assert fingerprint(exported_of(model)) != before


def test_the_cards_and_lists_inside(folder):
    extra = folder / "assets.extra"
    assert (extra / "card.json").read_bytes() == (folder / "card.json").read_bytes()
    assert Taxonomy.from_json((extra / "taxonomy.json").read_text("utf-8")).classes == PATHS
    assert json.loads((extra / "vocabulary.json").read_text("utf-8")) == WORDS
    licences = (extra / "LICENSES.md").read_text("utf-8")
    assert "CC0-1.0" in licences and "| some weights | MIT | their page |" in licences
    serving = json.loads((folder / "card.json").read_text("utf-8"))["serving"]
    assert serving["licenses"] == {"data": "CC0-1.0", "weights": [LICENCE._asdict()]}
    assert serving["calibration"] == {
        "temperatures": TEMPERATURES,
        "thresholds": THRESHOLDS,
        "target_precision": 0.9,
    }
    assert serving["product"] == {"image_weight": 0.25}
    assert serving["needs_tensorflow_text"] is False
    assert "shop, version 1" in (folder / "MODEL_CARD.md").read_text("utf-8")


def test_the_lines_of_the_card_call_the_model(folder, loaded, tmp_path, monkeypatch, images):
    """They are run as they stand, with an image where they say; the model is loaded already."""
    text = (folder / "MODEL_CARD.md").read_text("utf-8")
    lines = text.partition("```python\n")[2].partition("```")[0]
    monkeypatch.setattr(tf.saved_model, "load", {"saved_models/shop/1": loaded}.__getitem__)
    (tmp_path / "shirt.jpg").write_bytes(images[3])
    monkeypatch.chdir(tmp_path)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(lines, {})
    assert "'classes'" in output.getvalue() and "'text_embedding'" in output.getvalue()


def test_the_readme_names_every_file(folder):
    readme = README.read_text(encoding="utf-8")
    for path in [*folder.iterdir(), *(folder / "assets.extra").iterdir()]:
        if path.name not in ("assets", "fingerprint.pb"):
            assert f"`{path.name}" in readme, path.name
