"""What the export says of a version, and when a version is the one that is asked for."""

import json

import pytest

from huse_tf.jobs.export import _holds, export_lines
from huse_tf.serving.exported import Exported

SERVING = {
    "check": None,
    "formats": ["saved_model", "one_modality", "keras"],
    "files": {"image_model.keras": None},
    "not_written": {"text_model": "The encoder tfidf is not made of Keras layers."},
}


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "shop" / "3"
    folder.mkdir(parents=True)
    card = {"model_sha256": "ab", "serving": SERVING}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def model_of(digest):
    return Exported(None, None, None, None, card={"model_sha256": digest})


def test_lines_of_an_export(version):
    home = version.parent.parent
    assert export_lines(version) == [
        f"Export  {version}",
        f"Card    {version / 'MODEL_CARD.md'}",
        f"Export  {home / 'shop_image' / '3'}",
        f"Export  {home / 'shop_text' / '3'}",
        "Files   image_model.keras",
        "Without text_model: The encoder tfidf is not made of Keras layers.",
        "Served  not checked against TensorFlow's C++ loader",
    ]


@pytest.mark.parametrize(
    ("digest", "formats", "expected"),
    [
        ("ab", ("saved_model", "keras", "one_modality"), True),
        ("ab", ("saved_model",), False),
        ("cd", ("saved_model", "keras", "one_modality"), False),
    ],
)
def test_a_version_with_other_formats_is_another_one(version, digest, formats, expected):
    assert _holds(version, model_of(digest), formats) is expected


def test_a_version_that_knows_no_formats_is_a_saved_model(version):
    serving = {name: value for name, value in SERVING.items() if name != "formats"}
    card = {"model_sha256": "ab", "serving": serving}
    (version / "card.json").write_text(json.dumps(card))
    assert _holds(version, model_of("ab"), ("saved_model",))
    assert not _holds(version.parent / "4", model_of("ab"), ("saved_model",))
