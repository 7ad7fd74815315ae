"""What a client needs of a protocol. `rest.py` and `grpc_transport.py` fulfil it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from huse_tf.errors import UserError
from huse_tf.serving.client.answers import VersionStatus

# Nested lists of bytes: [batch], or [batch, n].
Strings = Sequence[bytes] | Sequence[Sequence[bytes]]
# Numbers are float32, truth values bool, strings `str` objects.
Outputs = dict[str, npt.NDArray[Any]]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SCHEMES = {"grpc": False, "grpcs": True, "http": False, "https": True}


@dataclasses.dataclass(frozen=True)
class Target:
    """A model of a server.

    Attributes:
        name: of the model.
        version: one version; None for the newest, or the one with the label.
        label: such as "stable"; "" for none.
    """

    name: str
    version: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.version is not None and self.label:
            raise UserError(
                "A version and a label exclude each other. Expected one of them. "
                f"Received: version={self.version}, label={self.label!r}."
            )


class Transport(Protocol):
    """One way to the server."""

    def predict(
        self, target: Target, signature: str, inputs: Mapping[str, Strings], timeout: float
    ) -> Outputs:
        """Asks once.

        Args:
            target: the model.
            signature: its name.
            inputs: by name; all strings.
            timeout: seconds.

        Raises:
            ServingError: there was no answer.
        """

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        """All versions of the model that the server knows."""

    def close(self) -> None:
        """Ends the connections."""


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        place: HOST:PORT, or a gRPC target such as dns:///HOST:PORT.
        rest: whether it speaks REST; else gRPC.
        encrypted: whether by TLS.
    """

    place: str
    rest: bool
    encrypted: bool

    @classmethod
    def of(cls, text: str) -> Address:
        """Reads an address.

        Examples:
            >>> Address.of("localhost:8500")
            Address(place='localhost:8500', rest=False, encrypted=False)
            >>> Address.of("https://models.example.com")
            Address(place='models.example.com', rest=True, encrypted=True)
            >>> Address.of("dns:///serving:8500").rest
            False
        """
        scheme, mark, place = text.partition("://")
        if text.startswith("dns:"):
            return cls(text, rest=False, encrypted=False)
        if not mark:
            scheme, place = "grpc", text
        if scheme not in _SCHEMES or not place.strip("/"):
            raise UserError(
                "The address of the server cannot be read. Expected HOST:PORT or grpc://HOST:PORT for gRPC, "
                f"http://HOST:PORT for REST, grpcs:// or https:// with TLS. Received: {text!r}."
            )
        return cls(place.rstrip("/"), rest=scheme.startswith("http"), encrypted=_SCHEMES[scheme])

    def check_token(self) -> None:
        """Refuses to send a token in the clear to another machine."""
        host = urlsplit(f"//{self.place.removeprefix('dns:///')}").hostname
        if not self.encrypted and host not in _LOOPBACK:
            raise UserError(
                "The token would be sent unencrypted. Expected grpcs:// or https://, or a server on this machine. "
                f"Received: {self.place}."
            )


def strings(values: Any) -> npt.NDArray[np.object_]:
    """An array of `str` objects from nested lists of strings or bytes."""
    array = np.array(values, dtype=object)
    text = [
        each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in array.flat
    ]
    flat = np.empty(len(text), dtype=object)
    flat[:] = text
    return flat.reshape(array.shape)
