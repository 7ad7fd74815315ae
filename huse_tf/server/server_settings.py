"""The settings of `python -m huse_tf.serve`, and what is refused before any model is loaded."""

from __future__ import annotations

import dataclasses
import hmac
import ipaddress
import os
import pathlib
import ssl
from collections.abc import Mapping

from huse_tf.errors import UserError
from huse_tf.settings import Settings, setting

TOKEN_VARIABLE = "HUSE_TF_TOKEN"
_SHORTEST_TOKEN = 16
_VERSION_LABEL = "LABEL:VERSION"
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class ServerSettings(Settings):
    """What is served, where, to whom, and within which limits."""

    model: str = setting("", "Folder NAME of an exported model, which holds its versions NAME/1 ….")
    model_name: str = setting("", "Name of the model in requests. Default: the name of the folder.")
    version_labels: tuple[str, ...] = setting(
        (),
        "Versions that stay loaded beside the highest one, with a name each: stable:1,canary:2.",
    )
    poll_seconds: float = setting(
        1.0, "Seconds between two looks for new versions.", minimum=0.05, maximum=3600
    )
    host: str = setting(
        "127.0.0.1",
        "Address to listen on. Beyond this machine it needs TLS and a token, or --insecure.",
    )
    port: int = setting(8500, "Port of gRPC; 0 takes a free one.", minimum=0, maximum=65535)
    rest_port: int = setting(
        8501, "Port of REST and of the metrics; 0 takes a free one.", minimum=0, maximum=65535
    )
    tls_cert: str = setting("", "File with the certificate chain (PEM), for TLS.")
    tls_key: str = setting("", "File with the private key (PEM), for TLS.")
    token_file: str = setting(
        "",
        "File with the token that clients must send as `Authorization: Bearer TOKEN`. Default: the "
        f"environment variable {TOKEN_VARIABLE}, if it is set.",
    )
    insecure: bool = setting(
        False,
        "Listen beyond this machine without TLS or without a token. Anyone may then read and ask.",
    )
    max_body_mib: float = setting(
        64.0, "Largest body of a request in MiB.", minimum=0.001, maximum=2047
    )
    max_image_mib: float = setting(
        16.0, "Largest image, or other string, of a request in MiB.", minimum=0.001, maximum=2047
    )
    max_rows: int = setting(1024, "Most rows of a request.", minimum=1)
    max_requests: int = setting(
        128, "Most requests at once; more are refused, and may be sent again.", minimum=1
    )
    timeout_seconds: float = setting(
        60.0, "Seconds after which a request is given up.", minimum=0.01, maximum=86400
    )
    drain_seconds: float = setting(
        30.0, "Seconds that running requests have at the end.", minimum=0, maximum=86400
    )
    max_batch_size: int = setting(
        32,
        "Most rows of several requests that are computed together; 1: each request alone.",
        minimum=1,
    )
    batch_timeout_micros: int = setting(
        1000, "Microseconds that a request waits for others.", minimum=0
    )
    num_batch_threads: int = setting(
        0, "Batches that are computed at once; 0: as many as this machine has cores.", minimum=0
    )

    @property
    def name(self) -> str:
        """The name of the model in requests."""
        return self.model_name or pathlib.Path(self.model).resolve().name

    @property
    def labels(self) -> dict[str, int]:
        """Version by label; raises UserError as `check_server` does."""
        found: dict[str, int] = {}
        for text in self.version_labels:
            label, _, number = text.partition(":")
            if not label or not number.isdecimal() or label in found:
                raise UserError(
                    f"--version_labels is a list of {_VERSION_LABEL} with different labels. Received: "
                    f"{','.join(self.version_labels)!r}. Write it as in stable:1,canary:2."
                )
            found[label] = int(number)
        return found

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Access:
    """Who may ask: anyone, or clients with the token.

    Examples:
        >>> access = Access("0123456789abcdef")
        >>> access.allows("Bearer 0123456789abcdef"), access.allows("Bearer wrong"), access.allows(None)
        (True, False, False)
        >>> Access(None).allows(None)
        True
    """

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else token.encode()

    def allows(self, authorization: str | None) -> bool:
        """Whether this value of `Authorization` holds the token, in a time that does not tell how much fits."""
        if self._expected is None:
            return True
        kind, _, token = (authorization or "").partition(" ")
        same = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._expected)
        return same and kind.lower() == "bearer"

    @property
    def needs_token(self) -> bool:
        return self._expected is not None


def read_access(settings: ServerSettings, environment: Mapping[str, str] = os.environ) -> Access:
    """The token of the settings or of the environment.

    Raises:
        UserError: the file cannot be read, or the token is too short or has white space in it.
    """
    source, token = TOKEN_VARIABLE, environment.get(TOKEN_VARIABLE)
    if settings.token_file:
        source = settings.token_file
        try:
            token = pathlib.Path(settings.token_file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(
                f"The token cannot be read. Expected a text file with the token. Received: "
                f"--token_file={settings.token_file} ({error}). Write one with `openssl rand -hex 32`."
            ) from error
    if token is None:
        return Access(None)
    token = token.strip()
    if (
        len(token) < _SHORTEST_TOKEN
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise UserError(
            f"The token of {source} is unfit. Expected at least {_SHORTEST_TOKEN} ASCII characters without "
            f"white space. Received: {len(token)} characters. Make one with `openssl rand -hex 32`."
        )
    return Access(token)


def check_server(settings: ServerSettings) -> Access:
    """Checks settings without TensorFlow, and reads the token.

    Raises:
        UserError: a setting cannot be used.
    """
    _check_model(settings)
    labels = settings.labels
    if (
        settings.max_batch_size == 1
        and settings.batch_timeout_micros != type(settings)().batch_timeout_micros
    ):
        raise UserError(
            "--batch_timeout_micros has no effect if each request is computed alone. Expected "
            f"--max_batch_size above 1. Received: {settings.max_batch_size}. Leave one of them out."
        )
    if settings.port == settings.rest_port != 0:
        raise UserError(
            f"gRPC and REST need a port each. Expected different values of --port and --rest_port. Received: "
            f"{settings.port} for both. Change one."
        )
    if settings.max_image_mib > settings.max_body_mib:
        raise UserError(
            "--max_image_mib has no effect above --max_body_mib, because an image is a part of a body. "
            f"Received: {settings.max_image_mib:g} and {settings.max_body_mib:g}. Lower one or raise the other."
        )
    del labels
    access = read_access(settings)
    tls = _check_tls(settings)
    _check_exposure(settings, tls, access)
    return access


def _check_model(settings: ServerSettings) -> None:
    folder = pathlib.Path(settings.model)
    if settings.model and (folder / "saved_model.pb").is_file():
        raise UserError(
            f"{settings.model!r} is one version of a model. Expected the folder that holds the versions. "
            f"Use --model={folder.parent}."
        )
    if not settings.model or not folder.is_dir():
        raise UserError(
            "No model to serve. Expected --model=NAME, a folder that `python -m huse_tf.export` wrote, such "
            f"as saved_models/home_goods. Received: {settings.model!r}."
        )
    if not any(path.name.isdecimal() for path in folder.iterdir()):
        raise UserError(
            f"{settings.model!r} holds no version. Expected folders with a whole number as name, such as "
            f"{folder / '1'}. Export a model with `python -m huse_tf.export`."
        )
    if any(sign in settings.name for sign in "/:") or not settings.name:
        raise UserError(
            f"A model's name is a part of the path of requests. Expected a name without / and :. Received: "
            f"{settings.name!r}. Give another one by --model_name."
        )


def _check_tls(settings: ServerSettings) -> bool:
    """Whether TLS is used; raises UserError if its files cannot be."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise UserError(
            "TLS needs a certificate and its key. Expected --tls_cert and --tls_key. Received only one of them."
        )
    if settings.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                settings.tls_cert, settings.tls_key
            )
        except (OSError, ValueError) as error:
            raise UserError(
                "The certificate and the key cannot be used. Expected two PEM files that fit each other, the "
                f"key without a password. Received: --tls_cert={settings.tls_cert} "
                f"--tls_key={settings.tls_key} ({error})."
            ) from error
    return bool(settings.tls_cert)


def _check_exposure(settings: ServerSettings, tls: bool, access: Access) -> None:
    safe = settings.is_local or (tls and access.needs_token)
    if settings.insecure and safe:
        raise UserError(
            "--insecure has no effect: the server is reached from this machine only, or has TLS and a token. "
            f"Received: --host={settings.host}. Leave --insecure out."
        )
    if not safe and not settings.insecure:
        missing = [
            *([] if tls else ["TLS (--tls_cert, --tls_key)"]),
            *([] if access.needs_token else [f"a token (--token_file or {TOKEN_VARIABLE})"]),
        ]
        raise UserError(
            f"Other machines reach --host={settings.host}. Expected TLS and a token. Missing: "
            f"{' and '.join(missing)}. Add it, listen on 127.0.0.1, or accept the risk with --insecure."
        )
