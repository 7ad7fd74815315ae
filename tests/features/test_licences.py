"""The licences of weights are those that the installed packages state."""

import importlib.metadata
import importlib.util
import pathlib

import pytest

from huse_tf.features.licences import NOT_STATED, licences_of
from huse_tf.features.packages import WEIGHTS
from huse_tf.features.registry import IMAGE_ENCODERS, TEXT_ENCODERS


def file_of(distribution, ending):
    [path] = [each for each in importlib.metadata.files(distribution) if str(each).endswith(ending)]
    return pathlib.Path(path.locate()).read_text(encoding="utf-8")


def test_minilm_is_what_the_model_card_in_its_package_says():
    package, requirement = WEIGHTS["minilm"]
    [licence] = licences_of("minilm")
    header = file_of(package, "model/README.md").split("---")[1]
    assert f"license: {licence.licence.lower()}\n" in header
    assert importlib.metadata.metadata(package)["License"] == "MIT" and "under MIT" in licence.where
    assert requirement.replace("==", " ") in licence.where


def test_efficientnet_is_what_the_licence_file_of_its_package_says():
    package, requirement = WEIGHTS["efficientnet_lite0"]
    [licence] = licences_of("efficientnet_lite0")
    assert licence.licence == "Apache-2.0"
    assert "Licensed under the Apache License, Version 2.0" in file_of(package, "LICENSE")
    assert requirement.replace("==", " ") in licence.where


def test_keras_states_no_licence_of_weights():
    found = importlib.util.find_spec("keras").submodule_search_locations[0]
    code = pathlib.Path(found, "src", "applications")
    assert not [path for path in code.glob("*.py") if "license" in path.read_text("utf-8").lower()]
    [licence] = licences_of("keras_applications:VGG16@imagenet")
    assert licence.licence == NOT_STATED and licence.of.startswith("VGG16@imagenet: ")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", []),
        ("tfidf", []),
        ("word_cnn:64", []),
        ("pixels:224", []),
        ("keras_hub:bert_base_en_uncased@random", []),
        ("patches:8:efficientnet_lite0@map", ["Apache-2.0"]),
        ("fields:2:minilm", ["Apache-2.0"]),
        ("tokens:minilm:16", ["Apache-2.0"]),
        ("bert_last4:keras_hub:bert_base_en_uncased+tfidf", [NOT_STATED]),
        ("saved_model:/models/minilm", [NOT_STATED]),
        ("precomputed:features.npz", [NOT_STATED]),
        ("my.package:Encoder", [NOT_STATED]),
    ],
)
def test_what_an_encoder_begins_with(spec, expected):
    assert [each.licence for each in licences_of(spec)] == expected


def test_every_encoder_is_known():
    for name in [*IMAGE_ENCODERS, *TEXT_ENCODERS]:
        if name not in ("patches", "fields", "tokens", "bert_last4"):  # these name another one
            assert all("this encoder" not in each.where for each in licences_of(name)), name
