"""Requests to a server of a test, by http.client and by TF Serving's own stubs."""

import contextlib
import http.client
import json

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from huse_tf.server.server_settings import ServerSettings

NAME = "toy"
SECONDS = 60


def settings(folder, **changes):
    """Settings on free ports of this machine; the test itself looks for versions."""
    local = {"port": 0, "rest_port": 0, "poll_seconds": 3600.0, "num_batch_threads": 2}
    return ServerSettings.of(model=str(folder), **{**local, **changes})


def rest(port, path, body=None, method=None, headers=None):
    """(status, parsed body, headers) of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection):
        if isinstance(body, dict):
            body = json.dumps(body)
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        if "json" in (response.headers["content-type"] or ""):
            content = json.loads(content)
        return response.status, content, response.headers


def predict_rest(port, body, where=""):
    status, content, _ = rest(port, f"/v1/models/{NAME}{where}:predict", body)
    return status, content


class Stubs:
    """The stubs of a server, with the token as metadata if there is one."""

    def __init__(self, port, token=None, credentials=None):
        # A server that comes back is found at once, not after a growing pause.
        options = [("grpc.max_reconnect_backoff_ms", 200)]
        if credentials:
            self.channel = grpc.secure_channel(f"localhost:{port}", credentials, options)
        else:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def request(self, signature, inputs, number=None, label=None, name=NAME, outputs=()):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        if number is not None:
            request.model_spec.version.value = number
        if label is not None:
            request.model_spec.version_label = label
        request.output_filter.extend(outputs)
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        return request

    def predict(self, signature, inputs, timeout=SECONDS, **more):
        request = self.request(signature, inputs, **more)
        answer = self.predictions.Predict(request, timeout=timeout, metadata=self.metadata)
        return {key: tf.make_ndarray(proto) for key, proto in answer.outputs.items()}

    def status(self):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = NAME
        return self.models.GetModelStatus(request, timeout=SECONDS, metadata=self.metadata)

    def signatures(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = NAME
        answer = self.predictions.GetModelMetadata(request, timeout=SECONDS, metadata=self.metadata)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return signatures.signature_def

    def close(self):
        self.channel.close()


@contextlib.contextmanager
def refused(code, words=""):
    """The block's call is refused with this code and a sentence that holds these words, without a trace."""
    try:
        yield
    except grpc.RpcError as error:
        assert error.code() is code, error
        assert words in error.details(), error.details()
        assert "Traceback" not in error.details() and ".py" not in error.details()
    else:
        raise AssertionError("The call was answered.")
