"""REST, as TF Serving speaks it. Imports no TensorFlow."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import urllib3

from huse_tf.serving.client.answers import VersionStatus
from huse_tf.serving.client.errors import ServingError
from huse_tf.serving.client.transport import Address, Outputs, Strings, Target, strings

# As TF Serving maps its own statuses; what is not here is "UNKNOWN".
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "UNAVAILABLE",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CHUNK = 2**16
_SHOWN = 500  # characters of an answer that is no JSON


class RestTransport:
    """Asks TF Serving's REST interface.

    Args:
        address: of the server.
        token: sent as `Authorization: Bearer TOKEN`; "" for none.
        certificates: path of a PEM file with the authorities to trust; "" for those of this machine.
        connections: kept open at most.
    """

    def __init__(self, address: Address, token: str, certificates: str, connections: int):
        self._base = f"{'https' if address.encrypted else 'http'}://{address.place}/v1/models"
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=connections, retries=False, ca_certs=certificates or None
        )

    def predict(
        self, target: Target, signature: str, inputs: Mapping[str, Strings], timeout: float
    ) -> Outputs:
        body = {
            "signature_name": signature,
            "inputs": {name: _encoded(value) for name, value in inputs.items()},
        }
        found = self._ask("POST", f"{_path(target)}:predict", json.dumps(body).encode(), timeout)
        outputs = found.get("outputs")
        if not isinstance(outputs, dict):
            raise ServingError("INTERNAL", f"The answer has no outputs by name: {found}"[:_SHOWN])
        return {name: _array(value) for name, value in outputs.items()}

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        found = self._ask("GET", _path(Target(target.name)), None, timeout)
        return [
            VersionStatus(
                int(each["version"]),
                each["state"],
                each.get("status", {}).get("error_message", ""),
            )
            for each in found.get("model_version_status", [])
        ]

    def close(self) -> None:
        self._pool.clear()

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> dict[str, Any]:
        end = time.monotonic() + timeout
        try:
            response = self._pool.request(
                method,
                self._base + path,
                body=body,
                headers=self._headers,
                timeout=urllib3.Timeout(total=timeout),
                redirect=False,
                preload_content=False,
            )
            content = _read(response, end)
        except urllib3.exceptions.TimeoutError as error:
            raise ServingError("DEADLINE_EXCEEDED", str(error)) from error
        except urllib3.exceptions.SSLError as error:
            raise ServingError("UNAUTHENTICATED", str(error)) from error
        except urllib3.exceptions.HTTPError as error:  # refused, reset or cut off
            raise ServingError("UNAVAILABLE", str(error)) from error
        try:
            found = json.loads(content)
        except ValueError:
            found = content[:_SHOWN].decode("utf-8", "replace")
        if response.status != 200:
            message = found.get("error", found) if isinstance(found, dict) else found
            code = _CODES.get(response.status, "UNKNOWN")
            raise ServingError(code, f"{message} (HTTP {response.status})", _wait(response))
        if not isinstance(found, dict):
            raise ServingError("INTERNAL", f"The answer is no JSON object: {found!r}"[:_SHOWN])
        return found


def _path(target: Target) -> str:
    path = f"/{quote(target.name, safe='')}"
    if target.version is not None:
        return f"{path}/versions/{target.version}"
    return f"{path}/labels/{quote(target.label, safe='')}" if target.label else path


def _read(response: urllib3.BaseHTTPResponse, end: float) -> bytes:
    """The whole body. The time limit of a socket starts anew with each byte, so the clock is asked here."""
    parts = []
    while part := response.read1(_CHUNK):
        parts.append(part)
        if time.monotonic() > end:
            response.close()
            raise ServingError("DEADLINE_EXCEEDED", "The answer did not end in time.")
    response.release_conn()
    return b"".join(parts)


def _wait(response: urllib3.BaseHTTPResponse) -> float:
    """Seconds of `Retry-After`; a date in it is not read."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    return [_encoded(each) for each in value]


def _array(value: Any) -> npt.NDArray[Any]:
    leaf = value
    while isinstance(leaf, list):
        leaf = leaf[0] if leaf else ""
    if isinstance(leaf, str):
        return strings(value)
    return np.asarray(value, dtype=bool if isinstance(leaf, bool) else np.float32)
