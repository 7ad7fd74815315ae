"""One version of a model: loaded, warmed up, tested by its canary, and unloaded after its last request."""

from __future__ import annotations

import dataclasses
import pathlib
import time

import tensorflow as tf
from absl import logging
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from huse_tf.errors import UserError
from huse_tf.server.canary import check_canary
from huse_tf.server.engine import Engine
from huse_tf.server.limits import Arrays, Limits
from huse_tf.server.refusals import of_model, plain
from huse_tf.server.server_settings import ServerSettings
from huse_tf.server.warm_up import warm_up
from huse_tf.serving.restored import client_signatures, read_graph

State = ModelVersionStatus.State


@dataclasses.dataclass
class Status:
    """What the server tells about a version.

    Attributes:
        state: in its life, as TF Serving names it.
        error: why it is not served; "" if nothing is wrong.
    """

    state: int
    error: str = ""


class Version:
    """A loaded version. `models.Models` counts its requests.

    Args:
        number: of the version.
        folder: NAME/VERSION.
        settings: limits, and how requests are joined.

    Attributes:
        users: number of requests that it answers now.

    Raises:
        UserError: it cannot be loaded, refuses a warm-up request, or fails its canary.
    """

    def __init__(self, number: int, folder: pathlib.Path, settings: ServerSettings) -> None:
        begin = time.monotonic()
        self.number, self.users = number, 0
        graph = read_graph(folder)
        self._engine = _load(folder, settings)
        try:
            self.signatures: dict[str, SignatureDef] = client_signatures(graph)
            self.tensors = self._engine.tensors
            warmed = warm_up(folder, self.tensors, Limits.of(settings), self.ask)
            answered = check_canary(folder, graph, self.ask)
        except BaseException:
            self._engine.close()
            raise
        logging.info(
            "Version %d is served: %d signatures, %d warm-up requests, %d canary answers, %.1f s.",
            number,
            len(self.signatures),
            warmed,
            answered,
            time.monotonic() - begin,
        )

    def ask(self, signature: str, inputs: Arrays) -> Arrays:
        """Answers a request; raises Refused."""
        try:
            return self._engine(signature, inputs)
        except tf.errors.OpError as error:
            raise of_model(error) from error

    def close(self) -> None:
        """Frees the memory, after the last request."""
        self._engine.close()


def _load(folder: pathlib.Path, settings: ServerSettings) -> Engine:
    try:
        return Engine(folder, settings)
    except (tf.errors.OpError, OSError, ValueError, KeyError, RuntimeError) as error:
        message = plain(str(error))
        raise UserError(
            f"{str(folder)!r} cannot be loaded. Expected a SavedModel of TensorFlow {tf.__version__} or older "
            f"that lies there whole. Received: {message}"
        ) from error
