"""gRPC with TF Serving's own messages, of the package `tensorflow-serving-api`.

These messages are made of TensorFlow's, so this module imports TensorFlow.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from huse_tf.serving.client.answers import VersionStatus
from huse_tf.serving.client.errors import ServingError
from huse_tf.serving.client.transport import Address, Outputs, Strings, Target, strings

# An answer may be above gRPC's 4 MB. Retries are those of retries.py, so the channel tries none and connects anew soon.
# A name with several addresses (a headless service) gets requests for all of them.
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


class GrpcTransport:
    """Asks `PredictionService` and `ModelService`.

    Args:
        address: of the server.
        token: sent as `authorization: Bearer TOKEN`; "" for none.
        certificates: path of a PEM file with the authorities to trust; "" for those of this machine.
    """

    def __init__(self, address: Address, token: str, certificates: str):
        self._metadata = [("authorization", f"Bearer {token}")] if token else []
        if address.encrypted:
            roots = pathlib.Path(certificates).read_bytes() if certificates else None
            credentials = grpc.ssl_channel_credentials(roots)
            self._channel = grpc.secure_channel(address.place, credentials, _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address.place, _OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, target: Target, signature: str, inputs: Mapping[str, Strings], timeout: float
    ) -> Outputs:
        request = predict_pb2.PredictRequest(model_spec=_spec(target, signature))
        for name, value in inputs.items():
            _fill(request.inputs[name], value)
        answer = self._call(self._predictions.Predict, request, timeout)
        return {name: _array(tensor) for name, tensor in answer.outputs.items()}

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(Target(target.name)))
        answer = self._call(self._models.GetModelStatus, request, timeout)
        states = get_model_status_pb2.ModelVersionStatus.State
        return [
            VersionStatus(each.version, states.Name(each.state), each.status.error_message)
            for each in answer.model_version_status
        ]

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServingError(error.code().name, error.details() or "no details") from error


def _spec(target: Target, signature: str = "") -> Any:
    spec = model_pb2.ModelSpec(name=target.name, signature_name=signature)
    if target.version is not None:
        spec.version.value = target.version
    elif target.label:
        spec.version_label = target.label
    return spec


def _fill(tensor: Any, value: Any) -> None:
    """Writes [batch] or [batch, n] bytes. `tf.make_tensor_proto` would drop NULs at the end of bytes."""
    tensor.dtype = tf.string.as_datatype_enum
    tensor.tensor_shape.dim.add(size=len(value))
    if value and not isinstance(value[0], bytes):
        tensor.tensor_shape.dim.add(size=len(value[0]))
        value = [each for row in value for each in row]
    tensor.string_val.extend(value)


def _array(tensor: Any) -> Any:
    array = tf.make_ndarray(tensor)
    return strings(array) if array.dtype == object else array
