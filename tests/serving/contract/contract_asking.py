"""How the contract tests speak to a server: TF Serving's generated stubs, and plain HTTP. No code of ours."""

import base64
import dataclasses
import json
import pathlib
import urllib.error
import urllib.request

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

DEADLINE = 300  # seconds; 1,000 images on a small machine
# What TF Serving says for a fault: its gRPC status and its HTTP status.
INVALID = {"INVALID_ARGUMENT", 400}
NO_SIGNATURE = {"FAILED_PRECONDITION", 400}
NOT_FOUND = {"NOT_FOUND", 404}


class Refused(Exception):
    """A request was refused.

    Attributes:
        code: the name of the gRPC status, or the number of the HTTP status.
        message: the sentence of the server.
    """

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a server is, the name of its model, and the folder of the versions."""

    host: str
    grpc_port: int
    rest_port: int
    model: str
    folder: pathlib.Path


def as_bytes(value):
    if isinstance(value, list | tuple):
        return [as_bytes(each) for each in value]
    return value.encode() if isinstance(value, str) else value


def texts(array):
    """Strings as `str`."""
    if array.dtype != object:
        return array
    flat = [each.decode() if isinstance(each, bytes) else each for each in array.flat]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)


class Grpc:
    """PredictionService and ModelService."""

    name = "grpc"

    def __init__(self, place):
        self.place = place
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(f"{place.host}:{place.grpc_port}", options)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, signature, inputs, **spec):
        """Output -> array. `inputs` holds nested lists of str or bytes, or arrays of numbers."""
        return {
            name: texts(tf.make_ndarray(tensor))
            for name, tensor in self.answer(signature, inputs, **spec).outputs.items()
        }

    def answer(self, signature, inputs, *, model=None, version=None, label=None, outputs=()):
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name = self.place.model if model is None else model
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tensor_proto(value))
        return self.call(self.predictions.Predict, request)

    def call(self, method, request):
        try:
            return method(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            raise Refused(error.code().name, error.details()) from error

    def signatures(self, model=None):
        """Signature -> ({input: (type, shape)}, {output: (type, shape)}); -1 is a free size."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = model or self.place.model
        answer = self.call(self.predictions.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        return {
            name: tuple(
                {
                    key: (tf.as_dtype(info.dtype).name, [dim.size for dim in info.tensor_shape.dim])
                    for key, info in tensors.items()
                }
                for tensors in (each.inputs, each.outputs)
            )
            for name, each in found.signature_def.items()
            if not name.startswith("__")
        }

    def states(self, model=None):
        """Version -> state."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model or self.place.model
        answer = self.call(self.models.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        return {each.version: states.Name(each.state) for each in answer.model_version_status}


def tensor_proto(value):
    if isinstance(value, np.ndarray):
        return tf.make_tensor_proto(value)
    value = as_bytes(value)
    shape = [len(value)]
    if value and isinstance(value[0], list):
        shape.append(len(value[0]))
        value = [each for row in value for each in row]
    proto = tf.make_tensor_proto([], tf.string, [0])
    proto.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    proto.string_val.extend(value)
    return proto


class Rest:
    """HTTP with JSON."""

    name = "rest"

    def __init__(self, place):
        self.place = place
        self.models = f"http://{place.host}:{place.rest_port}/v1/models"

    def call(self, path, body=None):
        """The JSON of an answer. `body` is bytes, or what becomes JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.models}/{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, json.load(error)["error"]) from error

    def predict(self, signature, inputs, *, model=None, version=None, label=None):
        place = model or self.place.model
        place += "" if version is None else f"/versions/{version}"
        place += "" if label is None else f"/labels/{label}"
        body = {"signature_name": signature, "inputs": {k: encoded(v) for k, v in inputs.items()}}
        return arrays(self.call(f"{place}:predict", body)["outputs"])

    def predict_rows(self, signature, rows):
        """The same by `instances`."""
        body = {"signature_name": signature, "instances": [encoded(row) for row in rows]}
        return self.call(f"{self.place.model}:predict", body)["predictions"]

    def signatures(self, model=None):
        found = self.call(f"{model or self.place.model}/metadata")
        return {
            name: tuple(
                {
                    key: (
                        tf.as_dtype(
                            getattr(tf, info["dtype"].removeprefix("DT_").lower(), "float32")
                        ).name,
                        [int(dim["size"]) for dim in info["tensor_shape"].get("dim", [])],
                    )
                    for key, info in each.get(kind, {}).items()
                }
                for kind in ("inputs", "outputs")
            )
            for name, each in found["metadata"]["signature_def"]["signature_def"].items()
            if not name.startswith("__")
        }

    def states(self, model=None):
        found = self.call(model or self.place.model)
        return {int(each["version"]): each["state"] for each in found["model_version_status"]}


def encoded(value):
    """Bytes as {"b64": …}, text as text."""
    if isinstance(value, dict):
        return {key: encoded(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [encoded(each) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value


def arrays(outputs):
    result = {}
    for name, value in outputs.items():
        leaf = value
        while isinstance(leaf, list) and leaf:
            leaf = leaf[0]
        result[name] = np.array(value, object if isinstance(leaf, str) else None)
    return result
