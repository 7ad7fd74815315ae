"""TF Serving's protocols around the signatures: names, versions, formats, metadata, status, and what is refused."""

import json

import numpy as np
import pytest
from contract_asking import INVALID, NO_SIGNATURE, NOT_FOUND, Refused, arrays
from files import GOOD, TEXTS
from tensorflow_serving.apis import get_model_metadata_pb2
from test_contract_shapes import assert_equal

pytestmark = pytest.mark.slow

TEXT = {"text": TEXTS}


def refused(call, codes):
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.code in codes, caught.value
    assert caught.value.message.strip()
    return caught.value.message


def test_an_unknown_signature(side):
    assert "no_such" in refused(lambda: side.predict("no_such", TEXT), NO_SIGNATURE)


def test_an_unknown_model(side):
    refused(lambda: side.predict("embed_text", TEXT, model="no_such"), NOT_FOUND)
    refused(lambda: side.signatures("no_such"), NOT_FOUND)
    refused(lambda: side.states("no_such"), NOT_FOUND)


def test_versions(side):
    [version, *_] = side.states()
    named = side.predict("embed_text", TEXT, version=version)
    assert_equal(named, side.predict("embed_text", TEXT))
    refused(lambda: side.predict("embed_text", TEXT, version=987654), NOT_FOUND)


def test_an_unknown_label(side):
    refused(lambda: side.predict("embed_text", TEXT, label="no_such"), INVALID | NOT_FOUND)


def test_a_missing_input(side):
    refused(lambda: side.predict("classify", TEXT), INVALID)


def test_numbers_in_place_of_strings(side):
    refused(lambda: side.predict("embed_text", {"text": np.ones(2, np.float32)}), INVALID)


def test_an_input_of_another_rank(side):
    refused(lambda: side.predict("embed_text", {"text": [["a"], ["b"]]}), INVALID)


def test_the_name_of_the_default_signature_may_be_left_out(side):
    inputs = {"image_bytes": GOOD, "text": TEXTS}
    assert_equal(side.predict("", inputs), side.predict("serving_default", inputs))


def test_a_version_is_available(side):
    assert "AVAILABLE" in side.states().values()


def test_both_protocols_tell_the_same_of_the_model(grpc_side, rest_side):
    assert grpc_side.states() == rest_side.states()
    assert grpc_side.signatures() == rest_side.signatures()


# --- gRPC -------------------------------------------------------------------------------------


def test_an_unknown_input(grpc_side):
    refused(lambda: grpc_side.predict("embed_text", {**TEXT, "other": TEXTS}), INVALID)


def test_the_answer_names_model_version_and_signature(grpc_side):
    spec = grpc_side.answer("embed_text", TEXT).model_spec
    assert (spec.name, spec.signature_name) == (grpc_side.place.model, "embed_text")
    assert spec.version.value in grpc_side.states()


def test_chosen_outputs(grpc_side):
    answer = grpc_side.predict("embed_text", TEXT, outputs=["status"])
    assert list(answer) == ["status"]
    refused(lambda: grpc_side.predict("embed_text", TEXT, outputs=["other"]), INVALID)


def test_metadata_needs_a_field(grpc_side):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = grpc_side.place.model
    refused(lambda: grpc_side.call(grpc_side.predictions.GetModelMetadata, request), INVALID)


# --- REST -------------------------------------------------------------------------------------


def test_rows_and_columns_are_two_forms_of_the_same(rest_side):
    rows = [{"image_bytes": i, "text": t} for i, t in zip(GOOD, TEXTS, strict=True)]
    predictions = rest_side.predict_rows("classify", rows)
    columns = {name: [row[name] for row in predictions] for name in predictions[0]}
    assert_equal(
        arrays(columns), rest_side.predict("classify", {"image_bytes": GOOD, "text": TEXTS})
    )
    plain = rest_side.predict_rows("embed_text", TEXTS)  # one input needs no name
    assert_equal(
        arrays({name: [row[name] for row in plain] for name in plain[0]}),
        rest_side.predict("embed_text", TEXT),
    )


def test_text_may_be_sent_as_text_or_as_bytes(rest_side):
    as_bytes = {"text": [text.encode() for text in TEXTS]}
    assert_equal(rest_side.predict("embed_text", as_bytes), rest_side.predict("embed_text", TEXT))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"no JSON",
        {},
        {"inputs": {"text": ["a"]}, "instances": [{"text": "a"}]},
        {"instances": []},
        {"instances": {"text": "a"}},
        {"instances": [{"other": "a"}]},
        {"inputs": {"other": ["a"]}},
        {"inputs": {"text": [{"b64": "?"}]}},
        {"inputs": {"text": [{"b65": "YQ=="}]}},
        {"inputs": {"text": [["a"], "b"]}},
        {"inputs": {"text": [None]}},
        {"inputs": {"text": [True]}},
        {"signature_name": 3, "inputs": {"text": ["a"]}},
    ],
    ids=str,
)
def test_a_body_that_cannot_be_read(rest_side, body):
    if isinstance(body, dict):
        body = {"signature_name": "embed_text", **body}
    refused(lambda: rest_side.call(f"{rest_side.place.model}:predict", body), {400})


def test_rows_of_unequal_width(rest_side):
    rows = [{"image_bytes": GOOD[:1], "text": "a"}, {"image_bytes": GOOD[:2], "text": "b"}]
    refused(lambda: rest_side.predict_rows("embed_product", rows), {400})


def test_the_status_is_that_of_tf_serving(rest_side):
    [found, *_] = rest_side.call(rest_side.place.model)["model_version_status"]
    assert set(found) == {"version", "state", "status"}
    assert found["version"].isdigit()
    assert found["status"] == {"error_code": "OK", "error_message": ""}
    version = rest_side.call(f"{rest_side.place.model}/versions/{found['version']}")
    assert found in version["model_version_status"]


def test_the_metadata_is_that_of_tf_serving(rest_side):
    found = rest_side.call(f"{rest_side.place.model}/metadata")
    assert set(found) == {"model_spec", "metadata"}
    assert found["model_spec"]["name"] == rest_side.place.model
    default = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict"
    assert default["inputs"]["text"]["dtype"] == "DT_STRING"
    assert default["inputs"]["text"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]


def test_the_canary_is_answered_as_when_it_was_exported(rest_side):
    """If the export is on this machine: the file is what TF Serving's REST takes."""
    folder = rest_side.place.folder
    files = [folder / str(version) / "assets.extra/canary.json" for version in rest_side.states()]
    files = [path for path in files if path.is_file()]
    if not files:
        pytest.skip("the export is not on this machine")
    for each in json.loads(files[-1].read_text(encoding="utf-8")):
        answer = rest_side.call(
            f"{rest_side.place.model}:predict",
            {"signature_name": each["signature"], "inputs": each["inputs"]},
        )
        expected = arrays(each["outputs"])
        for name, value in arrays(answer["outputs"]).items():
            if value.dtype.kind == "f":
                wanted = expected[name].astype(float)
                np.testing.assert_allclose(value, wanted, atol=each["tolerance"], err_msg=name)
            else:
                np.testing.assert_array_equal(value, expected[name], err_msg=name)
