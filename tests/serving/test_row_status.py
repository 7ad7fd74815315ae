"""A row that cannot be answered says why, and its neighbours are answered as without it."""

import numpy as np
import pytest
import tensorflow as tf
from test_class_scores import CALIBRATION
from tiny_models import (
    PATHS,
    TEXTS,
    WEIGHT,
    AverageColour,
    BagOfWords,
    build,
    decoded,
    expected_answers,
    softmax,
)

from huse_tf import keys
from huse_tf.data.classes.taxonomy import Taxonomy
from huse_tf.features import image_files
from huse_tf.features.encoder import FAILED, Encoder
from huse_tf.serving.exported import Exported, ProductPooling
from huse_tf.serving.served_modality import NOT_FINITE
from huse_tf.serving.served_model import NO_NAMES, ServedModel
from huse_tf.spec import FeatureSpec

NEITHER = "Every row needs its image_bytes or its text."
NO_IMAGE = "Every row needs its image_bytes."


def ask(signature, **inputs):
    """The answer as arrays."""
    given = {
        name: tf.constant(value, tf.float32 if name.endswith("features") else tf.string)
        for name, value in inputs.items()
    }
    return {name: value.numpy() for name, value in signature(**given).items()}


def serve(model, **settings):
    return ServedModel(
        Exported(model, AverageColour(), BagOfWords(), Taxonomy(PATHS), WEIGHT, **settings)
    )


def assert_equal_rows(found, expected):
    for name, value in expected.items():
        if value.dtype == np.float32:
            np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def assert_nothing(answer, rows):
    for name, value in answer.items():
        if name != "status":
            assert not np.any(value[rows] != (b"" if value.dtype == object else 0)), name


@pytest.fixture(scope="module")
def broken():
    """Bytes that are no image -> what is wrong with them."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    jpeg, png = tf.io.encode_jpeg(noise).numpy(), tf.io.encode_png(noise).numpy()
    bomb = png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:]
    return {
        jpeg[: len(jpeg) // 2]: image_files.DAMAGED,
        jpeg[:30]: image_files.DAMAGED,
        png[:-20]: image_files.DAMAGED,
        png[:20]: "The image is cut short.",
        bomb: f"The image is larger than {image_files.MAX_PIXELS} pixels.",
        jpeg + bytes(image_files.MAX_BYTES): "The image is larger than 20000000 bytes.",
        b"Dear shop, this is a letter.\n": image_files.UNKNOWN,
        b"\x00": image_files.UNKNOWN,
        b"": NO_IMAGE,
        b" ": NO_IMAGE,
    }


def mixed(good, bad):
    """(a list of all, in turns; the places of the bad ones)."""
    places = np.arange(len(bad)) * 2
    everything = list(np.resize(np.array(good, object), 2 * len(bad) + 1))
    for place, each in zip(places, bad, strict=True):
        everything[place] = each
    return everything, places


@pytest.mark.parametrize("name", ["embed_image", "classify_image"])
def test_broken_images_have_their_reasons_and_good_ones_their_answers(
    signatures, images, broken, name
):
    batch, places = mixed(images, broken)
    clean = [images[0] if row in places else image for row, image in enumerate(batch)]
    found, expected = (ask(signatures[name], image_bytes=each) for each in (batch, clean))
    assert decoded(found["status"][places]) == list(broken.values())
    assert_nothing(found, places)
    good = np.setdiff1d(np.arange(len(batch)), places)
    assert_equal_rows(*({key: each[good] for key, each in a.items()} for a in (found, expected)))


@pytest.mark.parametrize("name", ["classify", "class_scores", "serving_default", "classify_names"])
def test_a_broken_image_fails_its_row_though_the_row_has_a_text(signatures, images, broken, name):
    batch, places = mixed(images, broken)
    texts = ["red shirt"] * len(batch)
    names = {"class_names": [["red", "shoe"]] * len(batch)} if name == "classify_names" else {}
    found = ask(signatures[name], image_bytes=batch, text=texts, **names)
    reasons = ["" if reason == NO_IMAGE else reason for reason in broken.values()]
    assert decoded(found["status"][places]) == reasons
    assert_nothing(found, [place for place, why in zip(places, reasons, strict=True) if why])
    clean = ask(
        signatures[name],
        image_bytes=["" if row in places else image for row, image in enumerate(batch)],
        text=texts,
        **names,
    )
    good = [row for row, status in enumerate(found["status"]) if not status]
    assert len(good) == len(batch) - sum(map(bool, reasons))
    assert_equal_rows(*({key: each[good] for key, each in a.items()} for a in (found, clean)))


ODD = {
    "NUL": (b"red\x00shirt", b"red\x00shirt"),
    "no UTF-8": (b"\xff\xc3 red", "\ufffd\ufffd red".encode()),
    "long": (b"red " * 250_000, b"red " * 250_000),
    "mark of byte order": ("\ufeffred".encode(), "\ufeffred".encode()),
}


def test_odd_texts_are_answered_and_spoil_no_other(signatures, outputs):
    """Bytes that are no UTF-8 are read as U+FFFD, as by most programs."""
    batch = [TEXTS[0], *(sent for sent, _ in ODD.values()), TEXTS[2]]
    found = ask(signatures["embed_text"], text=batch)
    assert decoded(found["status"]) == [""] * len(batch)
    read = BagOfWords()(tf.constant([as_read for _, as_read in ODD.values()]))
    assert np.isfinite(found["text_embedding"]).all() and read.shape == (len(ODD), 5)
    expected = outputs[keys.TEXT_EMBEDDING]
    np.testing.assert_allclose(found["text_embedding"][[0, -1]], expected[[0, 2]], atol=1e-5)
    alone = ask(signatures["embed_text"], text=[as_read for _, as_read in ODD.values()])
    np.testing.assert_allclose(found["text_embedding"][1:-1], alone["text_embedding"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("embed_image", NO_IMAGE),
        ("classify_image", NO_IMAGE),
        ("embed_text", "Every row needs its text."),
        ("classify_text", "Every row needs its text."),
        ("classify", NEITHER),
        ("class_scores", NEITHER),
        ("serving_default", NEITHER),
        ("embed_product", NEITHER),
    ],
)
def test_a_row_without_anything_says_so(signatures, images, name, reason):
    spec = signatures[name].structured_input_signature[1]
    inputs = {"image_bytes": [images[0], ""], "text": [TEXTS[0], " \t\n"]}
    if name == "embed_product":
        inputs["image_bytes"] = [[image, ""] for image in inputs["image_bytes"]]
    found = ask(signatures[name], **{key: inputs[key] for key in spec})
    assert decoded(found["status"]) == ["", reason]
    assert_nothing(found, [1])


def test_the_vector_of_a_product_weighs_its_images_against_its_text(model, images, outputs):
    """Against a loop. The last rows: no image, no text, a broken image among good ones, nothing."""
    weight = 0.8
    signature = serve(model, product=ProductPooling(weight)).signature("embed_product")
    a, b, c, _ = images
    products = [
        [a, "", ""],
        [a, b, c],
        ["", c, ""],
        ["", "", ""],
        [b, "", a],
        [a, "x", "y"],
        [""] * 3,
    ]
    texts = [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[0], "", TEXTS[1], ""]
    found = ask(signature, image_bytes=products, text=texts)
    unknown = image_files.UNKNOWN
    assert decoded(found["status"]) == [
        *[""] * 5,
        f"Image 2: {unknown} Image 3: {unknown}",
        NEITHER,
    ]
    for row, (product, text) in enumerate(zip(products, texts, strict=True)):
        vectors = [outputs[keys.IMAGE_EMBEDDING][images.index(i)] for i in product if i in images]
        parts, weights = [], []
        if vectors:
            mean = np.mean(vectors, axis=0)
            parts.append(mean / np.linalg.norm(mean))
            weights.append(weight)
        if text:
            parts.append(outputs[keys.TEXT_EMBEDDING][TEXTS.index(text)])
            weights.append(1 - weight)
        expected = np.zeros(6)
        if found["status"][row] == b"":
            expected = np.average(parts, axis=0, weights=weights)
            expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(found["product_embedding"][row], expected, atol=1e-5)
    none = ask(signature, image_bytes=np.zeros((1, 0), object), text=[TEXTS[0]])
    expected = outputs[keys.TEXT_EMBEDDING][:1]
    np.testing.assert_allclose(none["product_embedding"], expected, atol=1e-5)


class Counting(BagOfWords):
    """Counts the texts that it encodes."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0)

    def __call__(self, inputs):
        self.count.assign_add(tf.size(inputs))
        return super().__call__(inputs)


def test_names_of_classes_are_scored_by_cosine_similarity_each_encoded_once(model, images, outputs):
    encoder = Counting()
    served = ServedModel(Exported(model, AverageColour(), encoder, Taxonomy(PATHS), WEIGHT))
    names = [
        ["red shirt", "shoe", ""],
        ["shoe", "red shirt", "shoe"],
        ["", " ", ""],
        ["shoe", "", ""],
    ]
    found = ask(
        served.signature("classify_names"),
        image_bytes=[images[0], "", images[2], images[3]],
        text=[TEXTS[0], TEXTS[1], TEXTS[2], ""],
        class_names=names,
    )
    assert encoder.count.numpy() == 3 + 2
    assert decoded(found["status"]) == ["", "", NO_NAMES, ""]
    image, text = (outputs[keys.embedding(name)] for name in ("image", "text"))
    both = image[0] + text[0]
    rows = [both / np.linalg.norm(both), text[1], None, image[3]]
    for row in (0, 1, 3):
        given = [TEXTS.index(name) for name in names[row] if name]
        scores = softmax(text[given] @ rows[row][None].T.astype(np.float64).reshape(1, -1, 1))
        expected = np.zeros(3)
        expected[[bool(name) for name in names[row]]] = scores.ravel()
        np.testing.assert_allclose(found["name_scores"][row], expected, atol=1e-5)
    assert_nothing(found, [2])
    none = np.zeros((1, 0), object)
    found = ask(
        served.signature("classify_names"), image_bytes=[""], text=["red"], class_names=none
    )
    assert decoded(found["status"]) == [NO_NAMES] and found["name_scores"].shape == (1, 0)


def test_rows_without_a_modality_have_the_temperature_and_threshold_of_the_other(
    model, images, outputs
):
    """Both (accepted from .25), the text alone (no threshold), the image alone (accepted from .5)."""
    served = serve(model, calibration=CALIBRATION)
    inputs = {"image_bytes": [images[0], "", images[2]], "text": [TEXTS[0], TEXTS[1], ""]}
    image, text = (
        softmax(outputs[keys.logits(name)].astype(np.float64)) for name in ("image", "text")
    )
    logs = [
        np.log(WEIGHT * image[0] + (1 - WEIGHT) * text[0]) / 1.25,
        np.log(text[1]) / 0.5,
        np.log(image[2]) / 2,
    ]
    expected = softmax(np.array(logs))
    scores = ask(served.signature("class_scores"), **inputs)["class_scores"]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    answer = ask(served.signature("classify"), **inputs)
    best = expected.max(axis=1)
    np.testing.assert_allclose(answer["scores"][:, 0], best, atol=1e-5)
    assert answer["accepted"].tolist() == [best[0] >= 0.25, False, best[2] >= 0.5]


def test_features_that_are_no_numbers_fail_their_row():
    model = build(3)
    served = ServedModel(Exported(model, None, None, Taxonomy(PATHS[:3]), 0.5))
    image = np.array([[1, 2, 0], [np.nan, 0, 0], [1e16, 0, 0], [0, 0, 0]], np.float32)
    text = np.zeros((4, 5), np.float32)
    inputs = {"image_features": image, "text_features": text}
    found = ask(served.signature("serving_default"), **inputs)
    nothing = "Every row needs its image_features or its text_features."
    assert decoded(found["status"]) == ["", NOT_FINITE, NOT_FINITE, nothing]
    assert_nothing(found, [1, 2, 3])
    products = {"image_features": image[[0, 3, 0, 1]].reshape(2, 2, 3), "text_features": text[:2]}
    found = ask(served.signature("embed_product"), **products)
    assert decoded(found["status"]) == ["", f"Image 2: {NOT_FINITE}"]
    expected = model.get_layer("image_tower")(image[:1])
    np.testing.assert_allclose(found["product_embedding"][:1], expected, atol=1e-5)


class Outside(Encoder):
    """An image encoder of somebody else, which decodes images itself and knows nothing of rows."""

    feature_spec = FeatureSpec((3,))
    _identity = None

    def __init__(self):
        super().__init__("outside")
        self.colours = AverageColour()

    def __call__(self, inputs):
        return self.colours(inputs)


def test_an_image_that_another_encoder_cannot_encode_fails_alone(model, images, outputs):
    served = ServedModel(Exported(model, Outside(), BagOfWords(), Taxonomy(PATHS), WEIGHT))
    signature = served.signature("embed_image")
    found = ask(signature, image_bytes=[images[0], "bad", images[2]])
    assert decoded(found["status"]) == ["", FAILED, ""]
    expected = outputs[keys.IMAGE_EMBEDDING][:3] * [[1], [0], [1]]
    np.testing.assert_allclose(found["image_embedding"], expected, atol=1e-5)
    clean = ask(signature, image_bytes=images)
    np.testing.assert_allclose(clean["image_embedding"], outputs[keys.IMAGE_EMBEDDING], atol=1e-5)


@pytest.mark.parametrize("batch", [0, 1000])
def test_every_signature_answers_no_row_and_a_thousand(signatures, images, outputs, batch):
    rows = np.arange(batch) % len(images)
    inputs = {
        "image_bytes": np.array(images, object)[rows],
        "text": np.array([text.encode() for text in TEXTS], object)[rows],
    }
    expected = expected_answers(outputs)
    for name, signature in signatures.items():
        spec = signature.structured_input_signature[1]
        given = {key: inputs.get(key, inputs["text"]) for key in spec}
        given = {key: v if spec[key].shape.rank == 1 else v[:, None] for key, v in given.items()}
        answer = ask(signature, **given)
        assert not np.any(answer["status"] != b"")
        for key, value in answer.items():
            assert len(value) == batch
            if key in expected.get(name, {}) and value.dtype == np.float32:
                np.testing.assert_allclose(value, expected[name][key][rows], atol=1e-5)


@pytest.mark.parametrize("name", ["embed_product", "class_scores", "classify_names"])
def test_inputs_of_unequal_sizes_are_refused(signatures, images, name):
    sent = {"image_bytes": images[:1], "text": TEXTS[:2]}
    if name == "embed_product":
        sent["image_bytes"] = [images[:2]]
    if name == "classify_names":
        sent = {"image_bytes": images[:2], "text": TEXTS[:2], "class_names": [["red"]]}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must have equally many rows\."):
        ask(signatures[name], **sent)
