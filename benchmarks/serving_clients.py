"""What the scripts about the server share: its process, requests with known answers, and clients that count.

The server runs in a process of its own, the clients are threads of this one.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

ROOT = pathlib.Path(__file__).parents[1]
IMAGES = ROOT / "experiments" / "home_goods" / "images"
LONGEST = 120.0  # seconds that a client waits for an answer
TOLERANCE = 1e-3
# Errors after which a client may send its request again.
RETRIABLE = {
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "503",
    "429",
    "504",
    "connection",
}
_WORDS = [
    "oak",
    "pine",
    "red",
    "blue",
    "round",
    "small",
    "chair",
    "table",
    "lamp",
    "shelf",
    "sofa",
    "garden",
    "kitchen",
    "modern",
    "old",
]


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        process: of `python -m huse_tf.serve`.
        name: of the model.
        port, rest_port: on which it listens on this machine.
    """

    process: subprocess.Popen[str]
    name: str
    port: int
    rest_port: int

    def anonymous_mib(self) -> float:
        """Linux's RssAnon of its process: memory without pages of files."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"RssAnon:\s*(\d+) kB", text)
        return int(found[1]) / 1024 if found else 0.0


def free_ports() -> tuple[int, int]:
    """Two ports of this machine that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        first, second = (each.getsockname()[1] for each in sockets)
    return first, second


@contextlib.contextmanager
def serving(
    model: pathlib.Path, *flags: str, ports: tuple[int, int] | None = None
) -> Iterator[Server]:
    """The server of a model, in a process of its own, ready."""
    port, rest_port = ports or free_ports()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "huse_tf.serve", f"--model={model}"),
            *(f"--port={port}", f"--rest_port={rest_port}", *flags),
        ],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = process.stdout or ()
    try:
        if len(list(itertools.islice(lines, 3))) < 3:  # the third line says that it is ready
            raise SystemExit("The server did not start. Its lines are above.")
        yield Server(process, model.resolve().name, port, rest_port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.stdout:
            process.stdout.close()


def newest(model: pathlib.Path) -> pathlib.Path:
    """The folder of the highest version."""
    return max(
        (path for path in model.iterdir() if path.name.isdecimal()), key=lambda p: int(p.name)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """A request of one row with its answer, for gRPC and for REST."""

    signature: str
    inputs: dict[str, np.ndarray]
    proto: predict_pb2.PredictRequest
    body: bytes
    expected: dict[str, np.ndarray]


def questions(
    name: str, signature: str, inputs: Sequence[str], count: int, seed: int = 0
) -> list[tuple[dict[str, np.ndarray], predict_pb2.PredictRequest, bytes]]:
    """Requests of one row with different texts and images of the bundled catalogue."""
    rng = random.Random(seed)
    files = sorted(IMAGES.glob("*.jpg"))
    found = []
    for _ in range(count):
        values: dict[str, Any] = {}
        for key in inputs:
            if key == "text":
                values[key] = [" ".join(rng.choices(_WORDS, k=rng.randint(2, 12))).encode()]
            elif key == "class_names":
                values[key] = [[word.encode() for word in rng.sample(_WORDS, rng.randint(1, 4))]]
            elif signature == "embed_product":
                values[key] = [[file.read_bytes() for file in rng.sample(files, rng.randint(1, 3))]]
            else:
                values[key] = [rng.choice(files).read_bytes()]
        arrays = {key: np.array(value, object) for key, value in values.items()}
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signature
        for key, value in arrays.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        tree = {"signature_name": signature, "inputs": {k: _json(k, v) for k, v in values.items()}}
        found.append((arrays, request, json.dumps(tree).encode()))
    return found


def _json(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_json(name, each) for each in value]
    if name == "image_bytes":
        return {"b64": base64.b64encode(value).decode()}
    return value.decode()


class Client(Protocol):
    """Sends one request and returns the outputs; raises `Failed`."""

    def __call__(self, asked: Asked) -> dict[str, np.ndarray]: ...


class Failed(Exception):
    """A request without an answer. Its text is a code of gRPC, a status of HTTP, or "connection"."""


class GrpcClient:
    """One channel of its own."""

    def __init__(self, server: Server) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        # A killed server is tried again soon, not after a growing pause.
        options += [
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def __call__(self, asked: Asked) -> dict[str, np.ndarray]:
        try:
            answer = self._stub.Predict(asked.proto, timeout=LONGEST)
        except grpc.RpcError as error:
            raise Failed(error.code().name) from error
        return {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}

    def close(self) -> None:
        self._channel.close()


class RestClient:
    """One connection that is kept, and opened again after an error."""

    def __init__(self, server: Server) -> None:
        self._server, self._path = server, f"/v1/models/{server.name}:predict"
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, asked: Asked) -> dict[str, np.ndarray]:
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    "127.0.0.1", self._server.rest_port, timeout=LONGEST
                )
                self._connection.connect()
                self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.request("POST", self._path, asked.body)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Failed("connection") from error
        if response.status != 200:
            raise Failed(str(response.status))
        outputs = json.loads(content)["outputs"]
        if not isinstance(outputs, dict):  # the only output has no name
            outputs = {next(iter(asked.expected)): outputs}
        return {name: _array(value, asked.expected[name]) for name, value in outputs.items()}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _array(value: Any, expected: np.ndarray) -> np.ndarray:
    """The values of JSON in the type of the expected ones; texts as bytes."""
    array = np.array(value, expected.dtype)
    if array.dtype == object:
        array.flat = [each.encode() for each in array.flat]
    return array


def is_right(received: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    """Whether an answer is the expected one, numbers to TOLERANCE."""
    if set(received) != set(expected):
        return False
    for name, mine in expected.items():
        theirs = received[name]
        if theirs.shape != mine.shape:
            return False
        same = (
            np.abs(theirs - mine).max(initial=0) <= TOLERANCE
            if mine.dtype.kind == "f"
            else (theirs == mine).all()
        )
        if not same:
            return False
    return True


@dataclasses.dataclass
class Counted:
    """What clients saw.

    Attributes:
        seconds: of each answered request.
        wrong: number of wrong answers.
        errors: number of refusals by their code.
        duration: of the whole, in seconds.
    """

    seconds: list[float] = dataclasses.field(default_factory=list)
    wrong: int = 0
    errors: dict[str, int] = dataclasses.field(default_factory=dict)
    duration: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.seconds) / self.duration if self.duration else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds in which this share of the requests was answered."""
        return float(np.percentile(self.seconds, share)) * 1000 if self.seconds else float("nan")

    def add(self, other: Counted) -> None:
        self.seconds += other.seconds
        self.wrong += other.wrong
        self.duration += other.duration
        for code, count in other.errors.items():
            self.errors[code] = self.errors.get(code, 0) + count

    @property
    def fatal(self) -> dict[str, int]:
        """Errors after which a client may not simply try again."""
        return {code: count for code, count in self.errors.items() if code not in RETRIABLE}


def load(
    clients: Sequence[Client],
    asked: Sequence[Asked],
    seconds: float,
    stop: threading.Event | None = None,
    pause: float = 0.0,
) -> Counted:
    """Clients ask without a pause, each its requests in turn, until the time is over or `stop` is set.

    Args:
        clients: a thread each.
        asked: the requests.
        seconds: how long.
        stop: ends it earlier.
        pause: seconds after an error.
    """
    total, lock = Counted(), threading.Lock()
    begin = time.perf_counter()
    end = begin + seconds

    def run(number: int, client: Client) -> None:
        mine, turn = Counted(), number
        while time.perf_counter() < end and not (stop is not None and stop.is_set()):
            each = asked[turn % len(asked)]
            turn += len(clients)
            sent = time.perf_counter()
            try:
                answer = client(each)
                mine.seconds.append(time.perf_counter() - sent)
                mine.wrong += not is_right(answer, each.expected)
            except Failed as error:
                mine.errors[str(error)] = mine.errors.get(str(error), 0) + 1
                time.sleep(pause)
        with lock:
            total.add(mine)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total.duration = time.perf_counter() - begin
    return total


@contextlib.contextmanager
def open_clients(
    kind: Callable[[Server], Any], server: Server, count: int
) -> Iterator[list[Client]]:
    """Clients that are closed after the block."""
    clients = [kind(server) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
