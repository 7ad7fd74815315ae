"""TF Serving's REST interface as an ASGI application, with metrics and probes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

from huse_tf.server import grpc_services, metrics, rest_json
from huse_tf.server.gate import Deadline, Gate
from huse_tf.server.limits import Arrays
from huse_tf.server.metrics import Metrics, Watched
from huse_tf.server.predictor import Predictor, Target
from huse_tf.server.refusals import Refused, invalid, of_server
from huse_tf.server.server_settings import MIB, Access, ServerSettings

_VERSION = (
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<number>\d{1,19})|/labels/(?P<label>[^/:]+))?"
)
_METHOD = re.compile(_VERSION + r":(?P<method>predict|classify|regress)")
_STATUS = re.compile(_VERSION + r"(?P<metadata>/metadata)?")
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"
_Handler = Callable[[Request], Awaitable[Response]]


class RestApp:
    """The paths under /v1, /metrics (also where TF Serving has it), /healthz and /readyz.

    Attributes:
        asgi: the application.
    """

    def __init__(
        self,
        predictor: Predictor,
        gate: Gate,
        metrics: Metrics,
        access: Access,
        settings: ServerSettings,
    ) -> None:
        self._predictor, self._gate, self._metrics, self._access = predictor, gate, metrics, access
        self._most, self._timeout = int(settings.max_body_mib * MIB), settings.timeout_seconds
        guarded = {
            "/v1/{path:path}": self._v1,
            "/metrics": self._metrics_text,
            "/monitoring/prometheus/metrics": self._metrics_text,
        }
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        self.asgi = Starlette(
            routes=[
                *(
                    Route(path, self._guarded(each), methods=methods)
                    for path, each in guarded.items()
                ),
                Route("/healthz", self._alive),
                Route("/readyz", self._ready),
            ]
        )

    def _guarded(self, handler: _Handler) -> _Handler:
        """The handler behind the token; its refusals are answered as JSON, without any trace."""

        async def answer(request: Request) -> Response:
            try:
                if not self._access.allows(request.headers.get("authorization")):
                    raise Refused(
                        grpc.StatusCode.UNAUTHENTICATED,
                        "The token is missing or wrong. Send the header Authorization: Bearer TOKEN.",
                    )
                return await handler(request)
            except Refused as refused:
                return _refusal(refused)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as error:
                return _refusal(of_server(error))

        return answer

    async def _v1(self, request: Request) -> Response:
        path = request.scope["path"]  # without the escapes of the URL
        if request.method == "POST" and (found := _METHOD.fullmatch(path)):
            return await self._method(request, _target(found), found["method"])
        if request.method == "GET" and (found := _STATUS.fullmatch(path)):
            body = self._metadata if found["metadata"] else self._status
            return Response(body(_target(found)), media_type=_JSON)
        raise invalid(f"Malformed request: {request.method} {path[:200]}")

    async def _method(self, request: Request, target: Target, method: str) -> Response:
        if method != "predict":
            raise Refused(
                grpc.StatusCode.UNIMPLEMENTED,
                f":{method} takes tf.Example, but this model takes raw images and texts. Use :predict with a "
                "signature_name that /metadata lists.",
            )
        with self._metrics.watch("rest") as watched:
            deadline = Deadline(self._timeout)
            self._predictor.models.check_name(target.name)
            with self._gate.place() as place:
                try:
                    async with asyncio.timeout(deadline.left):
                        body = await self._body(request)
                        work = place.run(lambda: self._answer(target, body, watched, deadline))
                        return Response(await asyncio.wrap_future(work), media_type=_JSON)
                except TimeoutError:
                    raise deadline.passed() from None

    async def _body(self, request: Request) -> bytes:
        """The body; raises Refused as soon as it is too long."""
        coding = request.headers.get("content-encoding", "identity")
        if coding != "identity":
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Bodies cannot be compressed. Received: {coding[:50]}.",
                415,
            )
        length = request.headers.get("content-length", "0")
        parts, size = [], int(length) if length.isdecimal() else 0
        self._check_length(size)
        size = 0
        async for part in request.stream():
            size += len(part)
            self._check_length(size)
            parts.append(part)
        return b"".join(parts)

    def _check_length(self, size: int) -> None:
        if size > self._most:
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"The body is too long. Expected at most {self._most} bytes. Send several requests.",
                413,
            )

    def _answer(self, target: Target, body: bytes, watched: Watched, deadline: Deadline) -> bytes:
        question = rest_json.read_question(body)

        def read(tensors: object) -> Arrays:
            return rest_json.read_inputs(question, tensors, self._predictor.limits)  # type: ignore[arg-type]

        asked = Target(target.name, question.signature, target.number, target.label)
        _, _, outputs = self._predictor.predict(asked, read, watched, deadline)
        return rest_json.write_answer(outputs, question.by_rows)

    def _status(self, target: Target) -> str:
        response = grpc_services.status(self._predictor.models, target)
        tree = json_format.MessageToDict(
            response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return rest_json.dumped(tree)

    def _metadata(self, target: Target) -> str:
        response = grpc_services.metadata(self._predictor.models, target)
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        tree = json_format.MessageToDict(
            signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        spec = {
            "name": response.model_spec.name,
            "signature_name": "",
            "version": str(response.model_spec.version.value),
        }
        return rest_json.dumped({"model_spec": spec, "metadata": {"signature_def": tree}})

    async def _metrics_text(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=metrics.CONTENT_TYPE)

    async def _alive(self, request: Request) -> Response:
        return Response("alive\n", media_type=_TEXT)

    async def _ready(self, request: Request) -> Response:
        ready = self._predictor.models.ready and self._gate.is_open
        return Response(
            "ready\n" if ready else "not ready\n", 200 if ready else 503, media_type=_TEXT
        )


def _target(found: re.Match[str]) -> Target:
    number = found["number"]
    return Target(found["name"], "", None if number is None else int(number), found["label"])


def _refusal(refused: Refused) -> Response:
    headers = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    if refused.code is grpc.StatusCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        rest_json.error_body(refused.sentence), refused.status, headers=headers, media_type=_JSON
    )
