"""An export of real encoders in every format: each runtime answers as the SavedModel does.

Needs `pip install -r requirements-runtimes.txt`. `make test-runtimes` installs and runs it.
"""

import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features.registry import make_image_encoder, make_text_encoder
from huse_tf.methods.huse import Huse
from huse_tf.serving.beside import Sample, write_formats
from huse_tf.serving.export import export_model
from huse_tf.serving.exported import Exported
from huse_tf.serving.formats import PACKAGES
from huse_tf.serving.keras_files import whole_model
from huse_tf.serving.runtimes.answers import load
from huse_tf.serving.runtimes.quiet_openvino import quiet_openvino
from huse_tf.spec import DataSpec

pytestmark = pytest.mark.slow

CLASSES = (("a",), ("b", "c"), ("d",))
TEXTS = [
    "Red armchair, oak legs. 59 x 63 x 105 cm (width x depth x height).",
    "TV stand 120 cm (black)",
    "größe ☃ ² ß İ naïve, 北京 sofa",
    "lamp " * 400,
    "x",
]


def photos(sizes, seed=0):
    """PNG files of smooth colours, and their pixels."""
    rng = np.random.default_rng(seed)
    found = []
    for size in sizes:
        coarse = rng.uniform(0, 255, (1, 6, 5, 3)).astype(np.float32)
        found.append(tf.image.resize(coarse, size, "bicubic")[0].numpy().clip(0, 255))
    pixels = [each.round().astype(np.uint8) for each in found]
    files = []
    for each in pixels:
        file = io.BytesIO()
        PIL.Image.fromarray(each).save(file, "PNG")
        files.append(file.getvalue())
    return files, pixels


@pytest.fixture(scope="module")
def exported():
    keras.utils.set_random_seed(3)
    image, text = make_image_encoder("efficientnet_lite0"), make_text_encoder("minilm")
    distances = np.zeros((3, 3), np.float32)
    model = Huse.of(embedding_dim=64).build_model(
        DataSpec(image.feature_spec, text.feature_spec, 3, distances)
    )
    return Exported(model, image, text, Taxonomy(CLASSES), 0.5)


@pytest.fixture(scope="module")
def keras_folder(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models") / "shop" / "1"
    return export_model(exported, folder, formats=("saved_model", "one_modality", "keras"))


@pytest.fixture(scope="module")
def joint(keras_folder):
    return tf.saved_model.load(keras_folder).signatures


def embeddings(signatures, **inputs):
    (name,) = inputs
    modality = "image" if name == "image_bytes" else "text"
    answer = signatures[f"embed_{modality}"](**{name: tf.constant(inputs[name])})
    return answer[keys.embedding(modality)].numpy()


def test_the_image_model_takes_what_another_pipeline_decoded(keras_folder, joint):
    """Images of their own sizes, by Pillow, against the bytes that the SavedModel decodes."""
    files, pixels = photos([(224, 224), (300, 180), (90, 400)])
    model = keras.models.load_model(keras_folder / "image_model.keras")
    found = [model(each[np.newaxis].astype(np.float32))[0] for each in pixels]
    expected = embeddings(joint, image_bytes=files)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def ids_of(exported, texts):
    return exported.text_encoder.keras_form().prepare(tf.constant(texts)).numpy()


def test_the_text_model_takes_the_ids(keras_folder, joint, exported):
    model = keras.models.load_model(keras_folder / "text_model.keras")
    found = model.predict(ids_of(exported, TEXTS), verbose=0)
    np.testing.assert_allclose(found, embeddings(joint, text=TEXTS), atol=1e-5)


def test_ids_by_keras_hub_from_the_files(keras_folder, exported):
    """The example of docs/guides/other_runtimes.md."""
    import keras_hub

    folder = keras_folder / "tokenizer"
    settings = json.loads((folder / "settings.json").read_text())
    pieces = keras_hub.tokenizers.BertTokenizer(str(folder / "vocab.txt"), **settings["settings"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def token_ids(texts):
        if settings["lowercase_before"]:
            texts = tf.strings.lower(texts, encoding="utf-8")
        ids = pieces(texts)[:, : settings["tokens"] - 2]
        one = tf.ones([ids.nrows(), 1], tf.int32)
        ids = tf.concat([one * settings["start_id"], ids, one * settings["end_id"]], axis=1)
        return ids.to_tensor(settings["pad_id"])

    np.testing.assert_array_equal(token_ids(tf.constant(TEXTS)), ids_of(exported, TEXTS))


def test_ids_by_hugging_face_s_tokenizers(keras_folder, exported):
    tokenizers = pytest.importorskip("tokenizers")
    folder = keras_folder / "tokenizer"
    settings = json.loads((folder / "settings.json").read_text())
    pieces = tokenizers.BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    pieces.enable_truncation(settings["tokens"])
    pieces.enable_padding(pad_id=settings["pad_id"])
    found = [each.ids for each in pieces.encode_batch(TEXTS)]
    np.testing.assert_array_equal(found, ids_of(exported, TEXTS))


def test_on_jax_without_tensorflow(keras_folder, exported, tmp_path):
    pytest.importorskip("jax")
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (2, 300, 180, 3)).astype(np.float32)
    inputs = {
        str(keras_folder / "image_model.keras"): pixels,
        str(keras_folder / "text_model.keras"): ids_of(exported, TEXTS),
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    script = pathlib.Path(__file__).with_name("keras_on_jax.py")
    subprocess.run(
        [sys.executable, str(script), str(tmp_path / "inputs.npz"), str(tmp_path / "answers.npz")],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    with np.load(tmp_path / "answers.npz") as answers:
        for path, given in inputs.items():
            expected = keras.models.load_model(path).predict(given, verbose=0)
            np.testing.assert_allclose(answers[path], expected, atol=1e-5, err_msg=path)


def test_the_image_model_is_served_without_tensorflow_text(keras_folder, joint, tmp_path):
    files, _ = photos([(50, 60), (300, 180)])
    for name, file in zip("ab", files, strict=True):
        (tmp_path / name).write_bytes(file)
    code = f"""
import sys
sys.modules["tensorflow_text"] = sys.modules["keras_hub"] = None
import numpy as np, pathlib, tensorflow as tf
served = tf.saved_model.load({str(keras_folder.parents[1] / "shop_image" / "1")!r}).signatures
images = tf.constant([pathlib.Path(name).read_bytes() for name in "ab"])
np.save("embedded.npy", served["embed_image"](image_bytes=images)["image_embedding"])
print(served["classify_image"](image_bytes=images)["classes"].shape)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    found = np.load(tmp_path / "embedded.npy")
    np.testing.assert_allclose(found, embeddings(joint, image_bytes=files), atol=1e-6)


RUNTIMES = ("onnx", "litert", "openvino")


@pytest.fixture(scope="module", params=[keys.IMAGE, keys.TEXT])
def converted(request, exported, tmp_path_factory):
    """(modality, its folder of files, card entries, inputs, embeddings of Keras)."""
    for package in {each for packages in PACKAGES.values() for each in packages}:
        if importlib.util.find_spec(package) is None:  # an import would start its telemetry
            pytest.skip(f"{package} is not installed: make test-runtimes")
    modality = request.param
    encoders = (exported.image_encoder, exported.text_encoder)
    one = Exported(
        exported.model,
        encoders[0] if modality == keys.IMAGE else None,
        encoders[1] if modality == keys.TEXT else None,
        exported.taxonomy,
        0.5,
    )
    folder = tmp_path_factory.mktemp(modality)
    sample = Sample(photos([(230, 240)] * 12, seed=1)[0], TEXTS * 3)
    entries = write_formats(one, ("saved_model", *RUNTIMES, "litert_int8"), folder, sample)
    files, _ = photos([(224, 224), (300, 180), (90, 400)])
    form = encoders[modality == keys.TEXT].keras_form()
    inputs = form.prepare(tf.constant(files if modality == keys.IMAGE else TEXTS)).numpy()
    expected = whole_model(exported, modality, form).predict(inputs, verbose=0)
    return modality, folder, entries, inputs, expected


@pytest.mark.parametrize("ending", [".onnx", ".tflite", ".xml"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_runtime_answers_as_keras(converted, ending, batch):
    modality, folder, _, inputs, expected = converted
    answer = load(folder / f"{modality}_model{ending}", threads=1)
    np.testing.assert_allclose(answer(inputs[:batch]), expected[:batch], atol=1e-5)


def test_int8_is_close_and_small(converted):
    modality, folder, entries, inputs, expected = converted
    path = folder / f"{modality}_model_int8.tflite"
    found = load(path)(inputs)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(norms, 1, atol=0.05)
    assert (found / norms * expected).sum(axis=1).min() > 0.9
    assert path.stat().st_size < 0.35 * (folder / f"{modality}_model.tflite").stat().st_size
    assert entries["files"][path.name]["mean_cosine"] > 0.9


def test_the_card_tells_what_each_runtime_answered(converted):
    modality, folder, entries, *_ = converted
    assert entries["formats"] == ["saved_model", *RUNTIMES, "litert_int8"]
    other = {keys.IMAGE: keys.TEXT, keys.TEXT: keys.IMAGE}[modality]
    assert set(entries["not_written"]) == {f"{other}_model"}
    for name, found in entries["files"].items():
        assert (folder / name).is_file() and name.startswith(f"{modality}_model")
        assert found.get("largest_difference", 0) < 1e-5
    assert (folder / f"{modality}_model.bin").is_file()  # the weights of OpenVINO


def test_openvino_tells_nobody(converted):
    """Its telemetry is replaced by a stub before it is imported."""
    assert converted
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__.endswith("telemetry_stub")


def test_names_of_inputs_and_outputs(converted):
    import onnxruntime

    modality, folder, *_ = converted
    given = {keys.IMAGE: "image", keys.TEXT: "token_ids"}[modality]
    output = keys.embedding(modality)
    session = onnxruntime.InferenceSession(folder / f"{modality}_model.onnx")
    assert [each.name for each in session.get_inputs()] == [given]
    assert [each.name for each in session.get_outputs()] == [output]
    with quiet_openvino() as openvino:
        model = openvino.Core().read_model(folder / f"{modality}_model.xml")
    assert given in model.inputs[0].names and output in model.outputs[0].names
