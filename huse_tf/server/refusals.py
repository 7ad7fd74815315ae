"""Requests that are refused: the code of gRPC, the status of HTTP, and a sentence."""

from __future__ import annotations

import re

import grpc
import tensorflow as tf
from absl import logging

_CODES = {code.value[0]: code for code in grpc.StatusCode}
# As TF Serving's REST interface answers.
_HTTP = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 416,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}
# Codes of a request that may be sent again, after this many seconds.
_RETRY = {grpc.StatusCode.RESOURCE_EXHAUSTED: 1, grpc.StatusCode.UNAVAILABLE: 1}
# Errors of the model that are the caller's fault.
_OF_THE_CALLER = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION,
}
_LONGEST = 500
# What TensorFlow puts around the sentence of an op: where in the graph the op lies.
_OF_THE_GRAPH = re.compile(
    r"^(Graph execution error:|Detected at node .*|<stack traces unavailable>|\s*\[\[.*\]\].*"
    r"|\d+ root error\(s\) found\.|\d+ successful operations\.|\d+ derived errors ignored\..*"
    r"|\s*File \".*|\s*Stack trace for op definition.*|\s*\(\d+\) \w+: )",
    re.MULTILINE,
)


class Refused(Exception):
    """A request that gets no answer.

    Attributes:
        code: for gRPC.
        sentence: for the caller; holds nothing about the server's inside.
        status: for HTTP; the one that TF Serving answers for the code, unless given.
    """

    def __init__(self, code: grpc.StatusCode, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence
        self.status = status or _HTTP.get(code, 500)

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the request may be sent again, or None."""
        return _RETRY.get(self.code)


def invalid(sentence: str) -> Refused:
    """The caller's fault.

    Examples:
        >>> invalid("Too long.").status
        400
    """
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, sentence)


def not_found(sentence: str) -> Refused:
    """There is no such model or version."""
    return Refused(grpc.StatusCode.NOT_FOUND, sentence)


def of_model(error: tf.errors.OpError) -> Refused:
    """What a caller is told about an error of the model.

    A fault of the request is told as the model says it. Any other goes to the log only.
    """
    code = _CODES.get(error.error_code, grpc.StatusCode.INTERNAL)
    if code in _OF_THE_CALLER:
        return Refused(code, plain(error.message))
    logging.error("The model failed: %s", error.message)
    return Refused(grpc.StatusCode.INTERNAL, "The model failed. The server's log says more.")


def of_server(error: Exception) -> Refused:
    """What a caller is told about an error that nobody foresaw: it goes to the log only."""
    logging.error("A request failed.", exc_info=error)
    return Refused(grpc.StatusCode.INTERNAL, "The server failed. The server's log says more.")


def plain(message: str) -> str:
    """A message of TensorFlow without the names of ops and files.

    Examples:
        >>> plain("Graph execution error:\\n\\nDetected at node x defined at ...\\nToo long.\\n\\t [[{{node x}}]]")
        'Too long.'
    """
    lines = _OF_THE_GRAPH.sub("", message).splitlines()
    lines = [re.sub(r"\s*\[Condition .*", "", line) for line in lines]
    kept = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    return " ".join(kept)[:_LONGEST] or "The model refused the request."


def http_code(status: int) -> str:
    """The name of the code of an HTTP status, for the metrics."""
    return next((code.name for code, each in _HTTP.items() if each == status), str(status))
