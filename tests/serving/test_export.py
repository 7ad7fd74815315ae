import base64
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import (
    PATHS,
    TEXTS,
    WEIGHT,
    AverageColour,
    BagOfWords,
    assert_same,
    best,
    build,
    decoded,
    expected_answers,
    expected_outputs,
    softmax,
)

import huse_tf
from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.errors import UserError
from huse_tf.methods.huse import Huse
from huse_tf.serving.exchange import write_questions
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph
from huse_tf.spec import DataSpec

README = pathlib.Path(huse_tf.__file__).parents[1] / "saved_models" / "README.md"


def ask_in_a_fresh_process(folder, images, texts, outputs, scratch, *modules):
    request = {
        "image_bytes": [{"b64": base64.b64encode(image).decode()} for image in images],
        "text": texts,
        "class_names": [["shoe", "red shirt"]] * len(texts),
        keys.IMAGE_FEATURES: outputs[keys.IMAGE_FEATURES].tolist(),
        keys.TEXT_FEATURES: outputs[keys.TEXT_FEATURES].tolist(),
    }
    (scratch / "request.json").write_text(json.dumps(request))
    script = pathlib.Path(__file__).with_name("fresh_process.py")
    files = [str(folder), str(scratch / "request.json"), str(scratch / "answer.json")]
    subprocess.run([sys.executable, "-I", str(script), *files, *modules], check=True, cwd=scratch)
    return json.loads((scratch / "answer.json").read_text())


def test_a_fresh_process_without_huse_tf_answers_as_the_model(
    folder, images, outputs, tmp_path_factory
):
    scratch = tmp_path_factory.mktemp("fresh")
    answers = ask_in_a_fresh_process(folder, images, TEXTS, outputs, scratch)
    for name, expected in expected_answers(outputs).items():
        assert_same(answers.pop(name), expected)
    assert np.shape(answers.pop("classify_names")["name_scores"]) == (4, 2)
    # The .keras files.
    for modality in ("image", "text"):
        embedding, probabilities = (
            np.array(answers.pop(key)) for key in (f"{modality}_tower", f"{modality}_probabilities")
        )
        np.testing.assert_allclose(embedding, outputs[keys.embedding(modality)], atol=1e-5)
        expected = softmax(outputs[keys.logits(modality)])
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert not answers


def test_names_shapes_and_types_of_all_signatures(signatures):
    image, text = {"image_bytes": ((None,), tf.string)}, {"text": ((None,), tf.string)}
    images, names = ({name: ((None, None), tf.string)} for name in ("image_bytes", "class_names"))
    image_embedding = {"image_embedding": ((None, 6), tf.float32)}
    text_embedding = {"text_embedding": ((None, 6), tf.float32)}
    classes = {
        "classes": ((None, 10), tf.string),
        "scores": ((None, 10), tf.float32),
        "level_scores": ((None, 10, 2), tf.float32),
        "accepted": ((None,), tf.bool),
    }
    status = {"status": ((None,), tf.string)}
    expected = {
        "embed_image": (image, image_embedding | status),
        "embed_text": (text, text_embedding | status),
        "embed_product": (images | text, {"product_embedding": ((None, 6), tf.float32)} | status),
        "classify_image": (image, classes | status),
        "classify_text": (text, classes | status),
        "classify": (image | text, classes | status),
        "class_scores": (image | text, {"class_scores": ((None, 12), tf.float32)} | status),
        "classify_names": (
            image | text | names,
            {"name_scores": ((None, None), tf.float32)} | status,
        ),
        "serving_default": (image | text, image_embedding | text_embedding | classes | status),
    }

    def plain(tensors):
        return {name: (tuple(t.shape), t.dtype) for name, t in tensors.items()}

    received = {
        name: (plain(f.structured_input_signature[1]), plain(f.structured_outputs))
        for name, f in signatures.items()
    }
    assert received == expected


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_the_batch_size_is_free(signatures, images, outputs, batch):
    answer = signatures["serving_default"](
        image_bytes=tf.constant(images[:batch], tf.string, [batch]),
        text=tf.constant(TEXTS[:batch], tf.string, [batch]),
    )
    expected = {k: v[:batch] for k, v in expected_answers(outputs)["serving_default"].items()}
    assert_same(answer, expected)


@pytest.mark.parametrize(("image_rows", "text_rows"), [(1, 3), (3, 1), (2, 3)])
@pytest.mark.parametrize("name", ["classify", "serving_default"])
def test_unequal_batches_are_refused(signatures, images, name, image_rows, text_rows):
    """Without the check, a batch of one would be broadcast over the other input."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_bytes and text must have equa"):
        signatures[name](
            image_bytes=tf.constant(images[:image_rows]), text=tf.constant(TEXTS[:text_rows])
        )


@pytest.mark.parametrize("empty", ["", " \t\n"])
def test_a_missing_input_leaves_the_answer_to_the_other_input(signatures, images, outputs, empty):
    """Row 0 is complete, row 1 has only an image, row 2 has only a text."""
    answer = signatures["serving_default"](
        image_bytes=tf.constant([images[0], images[1], b""]),
        text=tf.constant([TEXTS[0], empty, TEXTS[2]]),
    )
    image, text = softmax(outputs[keys.IMAGE_LOGITS]), softmax(outputs[keys.TEXT_LOGITS])
    expected = best(np.stack([WEIGHT * image[0] + (1 - WEIGHT) * text[0], image[1], text[2]]))
    for modality, present in (("image", [1, 1, 0]), ("text", [1, 0, 1])):
        embedding = outputs[keys.embedding(modality)][:3] * np.array(present)[:, None]
        expected[keys.embedding(modality)] = embedding
    assert_same(answer, {**expected, "status": [""] * 3})
    classified = signatures["classify"](
        image_bytes=tf.constant([images[1]]), text=tf.constant([empty])
    )
    np.testing.assert_allclose(classified["scores"], expected["scores"][1:2], atol=1e-5)


def test_the_assets_hold_the_class_paths(folder):
    lines = (folder / "assets" / "classes.txt").read_text(encoding="utf-8")
    assert lines == "".join("<".join(path) + "\n" for path in PATHS)


def test_a_model_of_precomputed_features_takes_features(tmp_path, outputs):
    """With fewer than ten classes an answer holds all classes."""
    model, paths = build(3), (("a",), ("b", "c"), ("d",))
    folder = export_model(Exported(model, None, None, Taxonomy(paths), WEIGHT), tmp_path / "1")
    features = {key: outputs[key] for key in (keys.IMAGE_FEATURES, keys.TEXT_FEATURES)}
    loaded = tf.saved_model.load(folder)
    answer = loaded.signatures["serving_default"](
        **{key: tf.constant(value) for key, value in features.items()}
    )
    expected = expected_answers(expected_outputs(model, *features.values()), paths)
    assert_same(answer, expected["serving_default"])
    assert "classify_names" not in loaded.signatures, "nothing encodes the names"
    spec = loaded.signatures["embed_image"].structured_input_signature[1]["image_features"]
    assert (tuple(spec.shape), spec.dtype) == ((None, 3), tf.float32)
    serving = json.loads((folder / "card.json").read_text())["serving"]
    assert serving["encoders"] == {"image": None, "text": None}
    assert not (folder / "assets.extra/vocabulary.json").exists()
    assert not (folder / "assets.extra/canary.json").exists()  # without a check
    write_questions(tmp_path / "asked.json", questions(read_graph(folder)))  # a check could ask it
    assert (folder / "assets.extra/tf_serving_warmup_requests").exists()


def test_a_model_of_label_sets_is_exported_with_sigmoids(tmp_path, outputs):
    model, paths = build(3), (("a",), ("b", "c"), ("d",))
    exported = Exported(model, None, None, Taxonomy(paths), WEIGHT, multi_label=True)
    folder = export_model(exported, tmp_path / "1")
    features = outputs[keys.TEXT_FEATURES]
    embedding = model.get_layer("text_tower")(features)
    logits = model.get_layer("classifier")(embedding).numpy().astype(np.float64)
    expected = best(1 / (1 + np.exp(-logits)), paths)
    answer = tf.saved_model.load(folder).signatures["classify_text"](
        text_features=tf.constant(features)
    )
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-5)
    assert decoded(answer["classes"]) == expected["classes"]
    classifier = keras.models.load_model(folder / "classifier.keras")
    np.testing.assert_allclose(classifier(embedding), 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert json.loads((folder / "card.json").read_text())["serving"]["multi_label"] is True


def test_only_weights_are_saved_and_each_once(folder, model):
    """Adam's two slots for each weight are left out; the encoder's variable is saved."""
    saved = tf.train.list_variables(str(folder / "variables" / "variables"))
    shapes = sorted(shape for name, shape in saved if name.endswith("VARIABLE_VALUE"))
    assert shapes == sorted([list(weight.shape) for weight in model.weights] + [[3]])


def test_the_card_holds_the_contract(folder):
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["method"] == "huse" and card["metrics"] == {"accuracy": 0.5}
    serving = card["serving"]
    assert serving["signatures"]["classify"] == {
        "inputs": {
            "image_bytes": {"shape": [None], "dtype": "string"},
            "text": {"shape": [None], "dtype": "string"},
        },
        "outputs": {
            "accepted": {"shape": [None], "dtype": "bool"},
            "classes": {"shape": [None, 10], "dtype": "string"},
            "level_scores": {"shape": [None, 10, 2], "dtype": "float32"},
            "scores": {"shape": [None, 10], "dtype": "float32"},
            "status": {"shape": [None], "dtype": "string"},
        },
    }
    assert serving["encoders"] == {
        "image": {"spec": "average_colour", "fingerprint": "0" * 64},
        "text": {"spec": "bag_of_words", "fingerprint": "1" * 64},
    }
    assert serving["fusion_weight"] == WEIGHT
    assert serving["multi_label"] is False
    assert serving["prefixes"] == [2, 4]
    assert serving["num_classes"] == len(PATHS)
    packages = {"tensorflow", "tensorflow_text", "keras", "keras_hub", "numpy"}
    assert set(serving["versions"]) == {"huse_tf", "python", *packages}


def test_the_readme_names_every_signature_and_tensor(folder):
    readme = README.read_text(encoding="utf-8")
    signatures = json.loads((folder / "card.json").read_text())["serving"]["signatures"]
    for name, tensors in signatures.items():
        for word in (name, *tensors["inputs"], *tensors["outputs"]):
            assert f"`{word}`" in readme, word


def test_an_existing_version_is_refused(folder, model):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    exported = Exported(model, AverageColour(), BagOfWords(), Taxonomy(PATHS), WEIGHT)
    with pytest.raises(UserError, match=r"exists already.*next free version is 2"):
        export_model(exported, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_failed_export_leaves_nothing_behind(tmp_path):
    """NaN is not valid JSON."""
    card = {"accuracy": float("nan")}
    exported = Exported(build(1), None, None, Taxonomy((("a",),)), 0.5, card=card)
    with pytest.raises(ValueError, match="JSON"):
        export_model(exported, tmp_path / "1")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_real_encoders_serve_real_bytes(tmp_path, rng):
    from huse_tf.features.registry import make_image_encoder, make_text_encoder

    image, text = make_image_encoder("efficientnet_lite0"), make_text_encoder("minilm")
    paths = (("a",), ("b", "c"), ("d",))
    spec = DataSpec(image.feature_spec, text.feature_spec, 3, np.zeros((3, 3), np.float32))
    method = Huse.of(embedding_dim=16, image_layers=(32,), text_layers=(32,), classifier_norm=1.0)
    model = method.build_model(spec)
    folder = export_model(Exported(model, image, text, Taxonomy(paths), WEIGHT), tmp_path / "1")

    noise = rng.integers(0, 256, (2, 50, 70, 3)).astype(np.uint8)
    images = [tf.io.encode_jpeg(noise[0]).numpy(), tf.io.encode_png(noise[1]).numpy()]
    texts = ["Men's red cotton shirt, größe M", "red"]
    outputs = expected_outputs(model, image(tf.constant(images)), text(tf.constant(texts)))
    answers = ask_in_a_fresh_process(folder, images, texts, outputs, tmp_path, "tensorflow_text")
    for name, expected in expected_answers(outputs, paths).items():
        assert_same(answers[name], expected)

    signatures = tf.saved_model.load(folder).signatures
    missing = signatures["classify"](
        image_bytes=tf.constant([images[0], b""]), text=tf.constant(["", texts[1]])
    )
    for row, name in enumerate(("classify_image", "classify_text")):
        np.testing.assert_allclose(missing["scores"][row], answers[name]["scores"][row], atol=1e-5)
    for bad in (b"no image", b"\x89PNG\r\n\x1a\n", images[0][:100], images[1][:100]):
        answer = signatures["embed_image"](image_bytes=tf.constant([images[1], bad]))
        assert [bool(status) for status in decoded(answer["status"])] == [False, True]
        np.testing.assert_allclose(
            answer["image_embedding"][0], answers["embed_image"]["image_embedding"][1], atol=1e-5
        )
