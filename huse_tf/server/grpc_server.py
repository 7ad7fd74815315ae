"""The gRPC server: its port, TLS, the token, and the health service."""

from __future__ import annotations

import concurrent.futures
import pathlib
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from huse_tf.errors import UserError
from huse_tf.server.grpc_services import ModelService, PredictionService
from huse_tf.server.server_settings import MIB, Access, ServerSettings

SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_SPARE = 16  # threads for status and health while all places are taken
_HEALTH = "/grpc.health.v1.Health/"
_NO_MESSAGE = object()


class GrpcServer:
    """Listens from the beginning; health says NOT_SERVING until `set_ready`.

    Raises:
        UserError: the port is in use, or the address is not of this machine.
    """

    def __init__(
        self,
        settings: ServerSettings,
        access: Access,
        predictions: PredictionService,
        models: ModelService,
    ) -> None:
        threads = settings.max_requests + _SPARE
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(threads, "grpc"),
            interceptors=[_Token(access)],
            options=[
                ("grpc.so_reuseport", 0),  # else a second server would share the port in silence
                ("grpc.max_receive_message_length", int(settings.max_body_mib * MIB)),
                ("grpc.max_send_message_length", -1),
            ],
            maximum_concurrent_rpcs=threads,
        )
        self._health = health.HealthServicer()
        self.set_ready(False)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            predictions, self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port = _bind(self._server, settings)
        self._server.start()

    def set_ready(self, ready: bool) -> None:
        """Sets what the health service answers."""
        status = health_pb2.HealthCheckResponse
        for service in SERVICES:
            self._health.set(service, status.SERVING if ready else status.NOT_SERVING)

    def stop(self, seconds: float) -> None:
        """Takes no more requests, and cancels those that run longer than this."""
        self._health.enter_graceful_shutdown()
        self._server.stop(seconds).wait()


def _bind(server: grpc.Server, settings: ServerSettings) -> int:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.port}"
    try:
        if settings.tls_cert:
            pair = (
                pathlib.Path(settings.tls_key).read_bytes(),
                pathlib.Path(settings.tls_cert).read_bytes(),
            )
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise port_in_use("--port", settings.host, settings.port) from error
    if not port:
        raise port_in_use("--port", settings.host, settings.port)
    return port


def port_in_use(flag: str, host: str, port: int) -> UserError:
    """The error for a port on which this process cannot listen."""
    return UserError(
        f"The server cannot listen on {host} port {port}. Expected an address of this machine and a port that "
        f"no other process uses. Received: {flag}={port}. Choose another one, or 0 for a free one."
    )


class _Token(grpc.ServerInterceptor):
    """Refuses calls without the token; health checks need none, because probes cannot send one."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        metadata = dict(handler_call_details.invocation_metadata)
        if handler_call_details.method.startswith(_HEALTH) or self._access.allows(
            metadata.get("authorization")
        ):
            return _readable(continuation(handler_call_details))
        return grpc.unary_unary_rpc_method_handler(_refuse)


def _readable(handler: Any) -> Any:
    """Refuses bytes that are no message as the caller's fault; gRPC would say INTERNAL and log a trace."""
    if handler is None or handler.unary_unary is None:
        return handler

    def read(data: bytes) -> Any:
        try:
            return handler.request_deserializer(data)
        except DecodeError:
            return _NO_MESSAGE

    def call(request: Any, context: grpc.ServicerContext) -> Any:
        if request is _NO_MESSAGE:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "The request is no message of this call."
            )
        return handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(call, read, handler.response_serializer)


def _refuse(request: Any, context: grpc.ServicerContext) -> None:
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "The token is missing or wrong. Send the metadata authorization: Bearer TOKEN.",
    )
