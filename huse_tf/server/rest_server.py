"""The HTTP server (uvicorn) of the REST interface: its port, TLS and limits."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn

from huse_tf.errors import UserError
from huse_tf.server.grpc_server import port_in_use
from huse_tf.server.rest_app import RestApp
from huse_tf.server.server_settings import ServerSettings

_BACKLOG = 512


class RestServer:
    """Listens in a thread of its own.

    Raises:
        UserError: the port is in use, or the address is not of this machine.
    """

    def __init__(self, settings: ServerSettings, app: RestApp) -> None:
        self._socket = _listening(settings)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app.asgi,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
            ssl_certfile=settings.tls_cert or None,
            ssl_keyfile=settings.tls_key or None,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="rest", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise UserError("The REST server ended at its start. The lines above say why.")
            time.sleep(0.005)

    def stop(self) -> None:
        """Takes no more requests, and waits for those that run."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _listening(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off for sockets that name TCP; else each answer would wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.rest_port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise port_in_use("--rest_port", settings.host, settings.rest_port) from error
    return sock
