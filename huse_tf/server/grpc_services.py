"""TF Serving's gRPC services: predictions, metadata and status of the model."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from huse_tf.server.gate import Deadline, Gate
from huse_tf.server.limits import Arrays
from huse_tf.server.metrics import Metrics, Watched
from huse_tf.server.models import Models
from huse_tf.server.predictor import Predictor, Target
from huse_tf.server.refusals import Refused, invalid, of_server
from huse_tf.server.tensor_protos import read_inputs, write_outputs

_SIGNATURES = "signature_def"
_NO_EXAMPLES = (
    "{} takes tf.Example, but this model takes raw images and texts. Call Predict with one of the "
    "signatures that GetModelMetadata lists."
)


def target_of(spec: model_pb2.ModelSpec) -> Target:
    """The model, version and signature of a request."""
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.signature_name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


@contextlib.contextmanager
def told(context: grpc.ServicerContext) -> Iterator[None]:
    """Answers a refusal of the block with its code and sentence, and any other error without its details."""
    try:
        yield
    except Refused as refused:
        _abort(context, refused)
    except Exception as error:
        if context.code() is not None:  # aborted already
            raise
        _abort(context, of_server(error))


def _abort(context: grpc.ServicerContext, refused: Refused) -> NoReturn:
    if refused.retry_after is not None:
        context.set_trailing_metadata(
            (("grpc-retry-pushback-ms", str(1000 * refused.retry_after)),)
        )
    context.abort(refused.code, refused.sentence)
    raise AssertionError  # abort raises


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata. The calls that take tf.Example are refused with a sentence."""

    def __init__(
        self, predictor: Predictor, gate: Gate, metrics: Metrics, timeout_seconds: float
    ) -> None:
        self._predictor, self._gate, self._metrics = predictor, gate, metrics
        self._timeout = timeout_seconds

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        with told(context), self._metrics.watch("grpc") as watched:
            left = context.time_remaining()
            deadline = Deadline(self._timeout if left is None else min(left, self._timeout))
            with self._gate.place() as place:
                future = place.run(lambda: self._answer(request, watched, deadline))
                try:
                    return future.result(deadline.left)
                except concurrent.futures.TimeoutError:
                    raise deadline.passed() from None

    def _answer(
        self, request: predict_pb2.PredictRequest, watched: Watched, deadline: Deadline
    ) -> predict_pb2.PredictResponse:
        def read(tensors: Any) -> Arrays:
            return read_inputs(request.inputs, tensors, self._predictor.limits)

        number, signature, outputs = self._predictor.predict(
            target_of(request.model_spec), read, watched, deadline, request.output_filter
        )
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        response.model_spec.signature_name = signature
        write_outputs(outputs, response.outputs)
        return response

    def GetModelMetadata(
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        with told(context):
            if not request.metadata_field:
                raise invalid(f"metadata_field is empty. Expected {_SIGNATURES!r}.")
            for field in request.metadata_field:
                if field != _SIGNATURES:
                    raise invalid(
                        f"Metadata field {field[:100]!r} is not supported. Expected {_SIGNATURES!r}."
                    )
            return metadata(self._predictor.models, target_of(request.model_spec))

    def Classify(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _abort(context, Refused(grpc.StatusCode.UNIMPLEMENTED, _NO_EXAMPLES.format("Classify")))

    def Regress(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _abort(context, Refused(grpc.StatusCode.UNIMPLEMENTED, _NO_EXAMPLES.format("Regress")))

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        sentence = _NO_EXAMPLES.format("MultiInference")
        _abort(context, Refused(grpc.StatusCode.UNIMPLEMENTED, sentence))


def metadata(models: Models, target: Target) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a version; raises Refused."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    signatures = get_model_metadata_pb2.SignatureDefMap()
    with models.version(target.name, target.number, target.label) as version:
        for name, signature in version.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.model_spec.name = target.name
        response.model_spec.version.value = version.number
    response.metadata[_SIGNATURES].Pack(signatures)
    return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The status of the versions."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        with told(context):
            return status(self._models, target_of(request.model_spec))

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        sentence = (
            "This server serves one folder and takes up its new versions by itself. Restart it with other flags "
            "to serve another model."
        )
        _abort(context, Refused(grpc.StatusCode.UNIMPLEMENTED, sentence))


def status(models: Models, target: Target) -> get_model_status_pb2.GetModelStatusResponse:
    """The states of versions; raises Refused."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, each in models.statuses(target.name, target.number, target.label).items():
        entry = response.model_version_status.add(version=number, state=each.state)
        entry.status.error_message = each.error
        entry.status.error_code = 9 if each.error else 0  # FAILED_PRECONDITION
    return response
