"""A running server: both ports, the versions, and a thread that looks for new ones."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from absl import logging

from huse_tf.errors import UserError
from huse_tf.server.gate import Deadline, Gate
from huse_tf.server.grpc_server import GrpcServer
from huse_tf.server.grpc_services import ModelService, PredictionService
from huse_tf.server.limits import Limits
from huse_tf.server.metrics import Metrics
from huse_tf.server.models import Models
from huse_tf.server.predictor import Predictor
from huse_tf.server.rest_app import RestApp
from huse_tf.server.rest_server import RestServer
from huse_tf.server.server_settings import Access, ServerSettings


class Running:
    """A server that listens, and serves as soon as `load` has found a version.

    Args:
        settings: checked by `check_server`.
        access: what `check_server` returned.

    Attributes:
        models: the versions.
        port, rest_port: on which it listens.

    Raises:
        UserError: a port is in use.
    """

    def __init__(self, settings: ServerSettings, access: Access) -> None:
        self._settings, self._end = settings, threading.Event()
        self.models, self._gate = Models(settings), Gate(settings.max_requests)
        metrics = Metrics(settings.name, self.models, self._gate)
        predictor = Predictor(self.models, Limits.of(settings))
        predictions = PredictionService(predictor, self._gate, metrics, settings.timeout_seconds)
        self._grpc = GrpcServer(settings, access, predictions, ModelService(self.models))
        try:
            app = RestApp(predictor, self._gate, metrics, access, settings)
            self._rest = RestServer(settings, app)
        except BaseException:
            self._grpc.stop(0)
            raise
        self.port, self.rest_port = self._grpc.port, self._rest.port
        self._watcher = threading.Thread(target=self._watch, name="versions", daemon=True)

    def load(self) -> None:
        """Loads the first version, and watches for more.

        Raises:
            UserError: no version can be served.
        """
        self.models.update()
        if not self.models.ready:
            reasons = "\n".join(f"  {n}: {why}" for n, why in self.models.refusals().items())
            raise UserError(f"No version can be served. Received:\n{reasons or '  no version'}")
        self._grpc.set_ready(True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._end.wait(self._settings.poll_seconds):
            try:
                self.models.update()
            except Exception:
                logging.exception("The look for new versions failed. The next one is soon.")

    def stop(self) -> None:
        """Refuses new requests, waits for the running ones, and frees everything."""
        self._end.set()
        self._grpc.set_ready(False)
        deadline = Deadline(self._settings.drain_seconds)
        if not self._gate.close(deadline.left):
            logging.warning("Requests still ran after %g seconds.", self._settings.drain_seconds)
        self._grpc.stop(deadline.left)  # answers may still be on their way
        self._rest.stop()
        if self._watcher.is_alive():
            self._watcher.join()
        self.models.close()


@contextlib.contextmanager
def running(settings: ServerSettings, access: Access) -> Iterator[Running]:
    """A server that serves during the block."""
    server = Running(settings, access)
    try:
        server.load()
        yield server
    finally:
        server.stop()
