"""One server over real sockets: TF Serving's gRPC and REST, batching, and what a caller does wrong."""

import asyncio
import base64
import concurrent.futures
import json
import math
import socket
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from asking import NAME, Stubs, predict_rest, refused, rest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)
from toy_exports import SIGNATURES, WIDTH

from huse_tf.errors import UserError

Code = grpc.StatusCode


def test_grpc_answers_with_the_version_and_the_signature(stubs):
    request = stubs.request("embed_text", {"text": ["red", "größe"]})
    answer = stubs.predictions.Predict(request, timeout=60)
    assert answer.model_spec.version.value == 1
    assert answer.model_spec.signature_name == "embed_text"
    embedding = tf.make_ndarray(answer.outputs["text_embedding"])
    assert embedding.dtype == np.float32
    np.testing.assert_array_equal(embedding, [[3.0] * WIDTH, [7.0] * WIDTH])


def test_the_default_signature_and_a_filter_of_outputs(stubs):
    assert set(stubs.predict("", {"text": ["red"]})) == {"echo", "length"}
    only = stubs.predict("serving_default", {"text": ["red"]}, outputs=["length"])
    assert set(only) == {"length"}
    with refused(Code.INVALID_ARGUMENT, "no output 'size'"):
        stubs.predict("", {"text": ["red"]}, outputs=["size"])


def test_rows_and_columns_give_the_same_numbers(server):
    port = server.rest_port
    rows = {"signature_name": "embed_text", "instances": ["red", "x"]}
    assert predict_rest(port, rows) == (200, {"predictions": [[3.0] * WIDTH, [1.0] * WIDTH]})
    named = {"signature_name": "embed_text", "instances": [{"text": "red"}, {"text": "x"}]}
    assert predict_rest(port, named) == predict_rest(port, rows)
    columns = {"signature_name": "embed_text", "inputs": {"text": ["red", "x"]}}
    assert predict_rest(port, columns) == (200, {"outputs": [[3.0] * WIDTH, [1.0] * WIDTH]})
    plain = {"signature_name": "embed_text", "inputs": ["red", "x"]}
    assert predict_rest(port, plain) == predict_rest(port, columns)


def test_several_outputs_have_names(server):
    status, answer = predict_rest(server.rest_port, {"instances": ["red", "é"]})
    assert status == 200
    assert answer == {"predictions": [{"echo": "red", "length": 3.0}, {"echo": "é", "length": 2.0}]}
    _, answer = predict_rest(server.rest_port, {"inputs": ["red"]})
    assert answer == {"outputs": {"echo": ["red"], "length": [3.0]}}


def test_bytes_are_base64_both_ways(server):
    image = base64.b64encode(b"\x00\xff").decode()
    row = {"image_bytes": [{"b64": image}, ""], "text": "abc"}
    body = {"signature_name": "embed_product", "instances": [row]}
    expected = {"product_embedding": [1.0, 3.0], "status": ""}
    assert predict_rest(server.rest_port, body) == (200, {"predictions": [expected]})
    # What is no text comes back as base64, and so does every output whose name ends with _bytes.
    _, answer = predict_rest(server.rest_port, {"instances": [{"b64": image}]})
    assert answer["predictions"][0]["echo"] == {"b64": image}
    numbers = {"signature_name": "numbers", "inputs": {"x": [[1.0, 2.0]], "k": [7]}}
    _, answer = predict_rest(server.rest_port, numbers)
    assert answer["outputs"]["raw_bytes"] == [{"b64": base64.b64encode(b"Nw").decode()}]


def test_infinity_and_nan_pass(server):
    body = (
        '{"signature_name": "numbers", "inputs": {"x": [[-1.5, 0], [NaN, Infinity]], "k": [0, 2]}}'
    )
    status, _, _ = rest(server.rest_port, f"/v1/models/{NAME}:predict", body)
    assert status == 200
    _, answer = predict_rest(server.rest_port, body)
    (first, second), (third, fourth) = answer["outputs"]["quotient"]
    assert first == -math.inf and math.isnan(second) and math.isnan(third) and fourth == math.inf
    assert answer["outputs"]["positive"] == [[False, False], [False, True]]
    assert answer["outputs"]["k"] == [0, 4]


def test_batches_of_0_and_of_1000_rows(server, stubs):
    assert stubs.predict("embed_text", {"text": np.array([], object)})["text_embedding"].shape == (
        0,
        WIDTH,
    )
    texts = ["x" * (row % 7) for row in range(1000)]
    answer = stubs.predict("embed_text", {"text": texts})["text_embedding"]
    np.testing.assert_array_equal(answer[:, 0], [row % 7 for row in range(1000)])
    body = {"signature_name": "embed_text", "inputs": {"text": []}}
    assert predict_rest(server.rest_port, body) == (200, {"outputs": []})
    body = {"signature_name": "embed_product", "inputs": {"text": [], "image_bytes": []}}
    status, answer = predict_rest(server.rest_port, body)
    assert status == 200 and answer["outputs"]["product_embedding"] == []


def test_a_signature_without_rows(server, stubs):
    assert stubs.predict("scalar", {"x": np.float32(3)})["y"] == 3
    assert predict_rest(server.rest_port, {"signature_name": "scalar", "inputs": 3.0}) == (
        200,
        {"outputs": 3.0},
    )
    status, answer = predict_rest(
        server.rest_port, {"signature_name": "scalar", "instances": [3.0]}
    )
    assert status == 400 and "wrong shape" in answer["error"]


def at_once(calls):
    """The results, or the errors, of calls that begin together."""
    begin = threading.Barrier(len(calls))

    def call(each):
        begin.wait()
        try:
            return each()
        except grpc.RpcError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_joined_requests_fail_only_by_their_own_fault(stubs):
    """The toy's assertion fails the whole batch that TensorFlow joined."""
    texts = ["bad" if number % 4 == 0 else "x" * number for number in range(16)]
    calls = [lambda text=text: stubs.predict("embed_text", {"text": [text]}) for text in texts]
    for text, answer in zip(texts, at_once(calls), strict=True):
        if text == "bad":
            assert answer.code() is Code.INVALID_ARGUMENT
            assert "Every row needs its text." in answer.details()
        else:
            assert answer["text_embedding"].tolist() == [[float(len(text))] * WIDTH]


def test_requests_of_different_sizes_do_not_harm_each_other(stubs):
    """TensorFlow cannot join [batch, 1] with [batch, 3]. Uneven inputs are refused alone."""

    def ask(images, texts):
        inputs = {"image_bytes": [["i"] * images] * 2, "text": ["abc"] * texts}
        return lambda: stubs.predict("embed_product", inputs)

    answers = at_once([ask(1 + number % 4, 3 if number == 5 else 2) for number in range(16)])
    for number, answer in enumerate(answers):
        if number == 5:
            assert answer.code() is Code.INVALID_ARGUMENT
        else:
            assert answer["product_embedding"].tolist() == [[1.0 + number % 4, 3.0]] * 2


def test_metadata_and_status(server, stubs):
    assert set(stubs.signatures()) == set(SIGNATURES)
    [version] = stubs.status().model_version_status
    assert (version.version, version.state) == (
        1,
        get_model_status_pb2.ModelVersionStatus.AVAILABLE,
    )
    status, tree, _ = rest(server.rest_port, f"/v1/models/{NAME}/metadata")
    assert status == 200 and tree["model_spec"] == {
        "name": NAME,
        "signature_name": "",
        "version": "1",
    }
    told = tree["metadata"]["signature_def"]["signature_def"]
    assert told["embed_text"]["inputs"]["text"]["dtype"] == "DT_STRING"
    assert [dim["size"] for dim in told["numbers"]["inputs"]["x"]["tensor_shape"]["dim"]] == [
        "-1",
        "2",
    ]
    ok = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for where in ("", "/versions/1"):
        status, tree, _ = rest(server.rest_port, f"/v1/models/{NAME}{where}")
        assert (status, tree) == (200, {"model_version_status": [ok]})


def test_versions_and_names_that_are_not_there(server, stubs):
    text = {"text": ["red"]}
    assert stubs.predict("", text, number=1)
    with refused(Code.NOT_FOUND, "Specific(toy, 9)"):
        stubs.predict("", text, number=9)
    with refused(Code.NOT_FOUND, "Latest(other)"):
        stubs.predict("", text, name="other")
    with refused(Code.INVALID_ARGUMENT, "version label: canary"):
        stubs.predict("", text, label="canary")
    with refused(Code.INVALID_ARGUMENT, "names no model"):
        stubs.predict("", text, name="")
    with refused(Code.FAILED_PRECONDITION, '"nothing" not found'):
        stubs.predict("nothing", text)
    body = {"instances": ["red"]}
    assert predict_rest(server.rest_port, body, "/versions/1")[0] == 200
    assert predict_rest(server.rest_port, body, "/versions/9")[0] == 404
    assert predict_rest(server.rest_port, body, "/labels/canary")[0] == 400
    assert rest(server.rest_port, "/v1/models/other:predict", body)[0] == 404
    assert rest(server.rest_port, "/v1/models/other")[0] == 404
    assert rest(server.rest_port, f"/v1/models/{NAME}/versions/9")[0] == 404


def test_calls_that_take_examples_are_unimplemented(server, stubs):
    request = classification_pb2.ClassificationRequest()
    with refused(Code.UNIMPLEMENTED, "Predict"):
        stubs.predictions.Classify(request, timeout=60)
    with refused(Code.UNIMPLEMENTED, "Restart it with other flags"):
        stubs.models.HandleReloadConfigRequest(
            model_management_pb2.ReloadConfigRequest(), timeout=60
        )
    with refused(Code.INVALID_ARGUMENT, "metadata_field is empty"):
        stubs.predictions.GetModelMetadata(
            get_model_metadata_pb2.GetModelMetadataRequest(), timeout=60
        )
    status, answer, _ = rest(server.rest_port, f"/v1/models/{NAME}:classify", {"examples": [{}]})
    assert status == 501 and ":predict" in answer["error"]


WRONG_BODIES = {
    "": "JSON Parse error",
    "{": "JSON Parse error",
    "[1]": "not an object",
    "\xff": "JSON Parse error",
    "[" * 100_000: "JSON Parse error",
    '{"instances": 1' + "0" * 5000 + "}": "JSON Parse error",
    "{}": "Missing 'inputs' or 'instances'",
    '{"instances": ["a"], "inputs": ["a"]}': "only one",
    '{"instances": []}': "No values",
    '{"instances": "a"}': "to be a list",
    '{"instances": ["a", ["b"]]}': "a list stands",
    '{"instances": [["a"], "b"]}': "uneven",
    '{"instances": ["a", {"text": "b"}]}': "Row 1",
    '{"instances": [{"words": "a"}]}': "keys must be text",
    '{"instances": [1]}': "must hold strings",
    '{"instances": [null]}': "Received: null",
    '{"instances": [{"b64": "?"}]}': "broken 'b64'",
    '{"instances": ["\\ud800"]}': "surrogate",
    '{"inputs": {"words": ["a"]}}': "Missing: 'text'",
    '{"inputs": [["a"]]}': "wrong shape",
    '{"signature_name": 1, "inputs": ["a"]}': "must be a string",
    '{"signature_name": "no", "inputs": ["a"]}': "not found",
    '{"signature_name": "embed_text", "inputs": ["bad"]}': "Every row needs its text.",
    '{"signature_name": "numbers", "inputs": {"x": [[1, true]], "k": [1]}}': "must hold numbers",
    '{"signature_name": "numbers", "inputs": {"x": [[1, 1e39]], "k": [1]}}': "must hold numbers",
    '{"signature_name": "numbers", "inputs": {"x": [[1, 1]], "k": [1.5]}}': "whole numbers",
    '{"signature_name": "numbers", "inputs": {"x": [[1, 1]], "k": [9223372036854775808]}}': "whole numbers",
    '{"signature_name": "numbers", "inputs": [1]}': "plain value",
    '{"signature_name": "numbers", "instances": [1]}': "plain list",
}


@pytest.mark.parametrize("body", WRONG_BODIES, ids=lambda body: body[:40])
def test_a_wrong_body_is_told_in_a_sentence(server, body):
    data = body.encode("latin-1") if body == "\xff" else body.encode()
    status, answer = predict_rest(server.rest_port, data)
    assert status == 400, answer
    assert WRONG_BODIES[body] in answer["error"]
    assert "Traceback" not in answer["error"] and "{{node" not in answer["error"]


def test_wrong_paths_and_methods(server):
    for method, path, expected in (
        ("GET", f"/v1/models/{NAME}:predict", 400),
        ("POST", f"/v1/models/{NAME}", 400),
        ("PUT", f"/v1/models/{NAME}:predict", 400),
        ("POST", f"/v1/models/{NAME}/versions/x:predict", 400),
        ("POST", f"/v1/models/{NAME}:explain", 400),
        ("GET", "/v1/models", 400),
        ("GET", "/v2/models", 404),
    ):
        assert (
            rest(server.rest_port, path, "{}" if method != "GET" else None, method)[0] == expected
        ), path
    headers = {"Content-Encoding": "gzip"}
    assert rest(server.rest_port, f"/v1/models/{NAME}:predict", b"x", headers=headers)[0] == 415


def proto(signature, name, **fields):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, signature
    sizes = fields.pop("sizes")
    tensor = request.inputs[name]
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    for key, value in fields.items():
        if isinstance(value, list):
            getattr(tensor, key).extend(value)
        else:
            setattr(tensor, key, value)
    return request


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (proto("embed_text", "text", sizes=[1], dtype=1, float_val=[1.0]), "wrong type"),
        (proto("embed_text", "text", sizes=[1], dtype=999, float_val=[1.0]), "wrong type"),
        (proto("embed_text", "text", sizes=[1], dtype=0), "wrong type"),
        (
            proto("embed_text", "text", sizes=[2, 1], dtype=7, string_val=[b"a", b"b"]),
            "wrong shape",
        ),
        (proto("embed_text", "text", sizes=[3], dtype=7, string_val=[b"a", b"b"]), "broken"),
        (proto("embed_text", "text", sizes=[3], dtype=7), "broken"),
        (proto("embed_text", "text", sizes=[-1], dtype=7, string_val=[b"a"]), "negative"),
        (proto("embed_text", "text", sizes=[2000], dtype=7, string_val=[b"a"]), "too many rows"),
        (
            proto("embed_text", "text", sizes=[1, 2**62], dtype=7, string_val=[b"a"]),
            "too many values",
        ),
        (
            proto("embed_text", "text", sizes=[1000], dtype=7, string_val=[b"a" * 2**17]),
            "too large",
        ),
        (proto("scalar", "x", sizes=[], dtype=1, tensor_content=b"abc"), "broken"),
        (proto("embed_text", "words", sizes=[1], dtype=7, string_val=[b"a"]), "Missing: 'text'"),
    ],
    ids=str,
)
def test_a_wrong_proto_is_told_in_a_sentence(stubs, request_, words):
    with refused(Code.INVALID_ARGUMENT, words):
        stubs.predictions.Predict(request_, timeout=60)


def test_bytes_that_are_no_message_are_refused(stubs):
    call = stubs.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with refused(Code.INVALID_ARGUMENT, "no message"):
        call(b"\xff\xff", timeout=60)


def test_readiness_and_health_mean_a_canary_answered(export, listen, server, stubs):
    health = health_pb2_grpc.HealthStub(stubs.channel)
    for service in ("", "tensorflow.serving.PredictionService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert rest(server.rest_port, "/readyz")[0] == 200
    waiting = listen(export, load=False)
    assert rest(waiting.rest_port, "/healthz")[0] == 200
    assert rest(waiting.rest_port, "/readyz")[0] == 503
    status, answer, headers = rest(
        waiting.rest_port, f"/v1/models/{NAME}:predict", {"instances": ["a"]}
    )
    assert status == 503 and headers["retry-after"] == "1"
    early = Stubs(waiting.port)
    answer = health_pb2_grpc.HealthStub(early.channel).Check(
        health_pb2.HealthCheckRequest(), timeout=60
    )
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    with refused(Code.UNAVAILABLE, "No version is ready yet"):
        early.predict("", {"text": ["a"]})
    early.close()


def test_answers_of_rest_do_not_wait_for_more_bytes(server, monkeypatch):
    """Nagle's algorithm with delayed acknowledgements costs 40 ms an answer."""
    seen = []
    plain = asyncio.base_events._set_nodelay
    monkeypatch.setattr(
        asyncio.selector_events.base_events,
        "_set_nodelay",
        lambda sock: (
            plain(sock),
            seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        ),
    )
    assert rest(server.rest_port, "/healthz")[0] == 200
    assert seen == [1]


def test_a_port_in_use_is_told(server, listen, export):
    with pytest.raises(UserError, match=rf"cannot listen on 127.0.0.1 port {server.port}"):
        listen(export, load=False, port=server.port)
    with pytest.raises(UserError, match=rf"--rest_port={server.rest_port}"):
        listen(export, load=False, rest_port=server.rest_port)


TOKEN = "0123456789abcdef"


def test_a_token_is_needed_where_one_is_set(export, listen, tmp_path):
    """Probes need none."""
    (tmp_path / "token").write_text(TOKEN + "\n", encoding="utf-8")
    guarded = listen(export, load=False, token_file=str(tmp_path / "token"))
    body = {"instances": ["a"]}
    for headers, expected in (
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 503),  # let in, but no version is loaded
    ):
        path = f"/v1/models/{NAME}:predict"
        assert rest(guarded.rest_port, path, body, headers=headers)[0] == expected
        assert (rest(guarded.rest_port, "/metrics", headers=headers)[0] == 401) == (expected == 401)
    assert rest(guarded.rest_port, "/healthz")[0] == 200
    for token, code in (
        (None, Code.UNAUTHENTICATED),
        ("wrong", Code.UNAUTHENTICATED),
        (TOKEN, Code.UNAVAILABLE),
    ):
        stubs = Stubs(guarded.port, token)
        with refused(code):
            stubs.predict("", {"text": ["a"]})
        health_pb2_grpc.HealthStub(stubs.channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
        stubs.close()


def test_limits_of_bodies_images_and_rows(export, listen):
    small = listen(export, load=False, max_body_mib=0.01, max_image_mib=0.001, max_rows=4)
    path = f"/v1/models/{NAME}:predict"
    status, answer, _ = rest(small.rest_port, path, b" " * 20_000)
    assert status == 413 and "10485 bytes" in answer["error"]
    # Without a length, the body is cut off as soon as it is too long.
    with socket.create_connection(("127.0.0.1", small.rest_port), timeout=60) as sock:
        sock.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        sock.sendall((b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 2)
        assert b"413" in sock.recv(1000).split(b"\r\n")[0]
    stubs = Stubs(small.port)
    with refused(Code.RESOURCE_EXHAUSTED):
        stubs.predict("", {"text": ["a" * 20_000]})
    stubs.close()


def test_values_and_rows_over_the_limits(export):
    from huse_tf.server.limits import Limits, Tensor
    from huse_tf.server.refusals import Refused

    limits, tensors = Limits(100, 10, 3), {"text": Tensor(tf.string, (None,))}
    limits.check_values({"text": np.array([b"x" * 10] * 3, object)}, tensors)
    with pytest.raises(Refused, match="too long a value in row 1"):
        limits.check_values({"text": np.array([b"", b"x" * 11], object)}, tensors)
    with pytest.raises(Refused, match="too many rows"):
        limits.check_values({"text": np.array([b""] * 4, object)}, tensors)


def test_metrics_count_requests_rows_and_versions(server, stubs):
    def value(line):
        text = rest(server.rest_port, "/metrics")[1].decode()
        found = [each for each in text.splitlines() if each.startswith(line + " ")]
        return float(found[0].split()[1]) if found else 0.0

    asked = 'huse_tf_requests_total{api="grpc",code="OK",signature="embed_text"}'
    wrong = 'huse_tf_requests_total{api="rest",code="INVALID_ARGUMENT",signature="unknown"}'
    rows = 'huse_tf_rows_total{signature="embed_text"}'
    before = [value(line) for line in (asked, wrong, rows)]
    stubs.predict("embed_text", {"text": ["a", "b", "c"]})
    predict_rest(server.rest_port, "{")
    assert [value(line) for line in (asked, wrong, rows)] == [
        before[0] + 1,
        before[1] + 1,
        before[2] + 3,
    ]
    assert value('huse_tf_version_state{model="toy",state="AVAILABLE",version="1"}') == 1
    assert value("huse_tf_current_version") == 1
    assert value("huse_tf_requests_in_work") == 0
    status, text, _ = rest(server.rest_port, "/monitoring/prometheus/metrics")
    assert status == 200 and b"huse_tf_request_seconds_bucket" in text


def test_random_bodies_get_an_answer_or_a_4xx(server):
    """A short form of benchmarks/serving_fuzz.py."""
    rng = np.random.default_rng(0)
    good = json.dumps({"signature_name": "embed_text", "instances": ["red", "blue"]}).encode()
    for _ in range(60):
        body = bytearray(good)
        for place in rng.integers(0, len(body), 3):
            body[place] = rng.integers(0, 256)
        status, answer = predict_rest(server.rest_port, bytes(body))
        assert status in (200, 400), answer
    assert predict_rest(server.rest_port, good)[0] == 200
