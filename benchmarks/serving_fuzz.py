"""Sends broken requests to the server: JSON, protos and images, with good requests between them.

python benchmarks/serving_fuzz.py --model=saved_models/home_goods --requests=10000

The generator has a seed. A broken request must get an answer, or a refusal that is the caller's fault (4xx,
INVALID_ARGUMENT …) with a sentence and without a stack trace. Every good request between them must get the right
answer. The script ends with status 1 if not, or if the server is not ready at the end.
"""

from __future__ import annotations

import collections
import http.client
import json
import pathlib
import random
import sys
from collections.abc import Callable

import grpc
import serving_clients as serving
import serving_load
from absl import app, flags
from tensorflow_serving.apis import predict_pb2

from huse_tf.server.engine import Engine
from huse_tf.server.server_settings import ServerSettings

_REQUESTS = flags.DEFINE_integer("requests", 10_000, "Number of broken requests.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the generator.")
_EVERY = 10  # a good request after so many broken ones
_ALLOWED = {
    "OK",
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
    "OUT_OF_RANGE",
}
_ODD = [
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "\x00",
    "\ud83d",
    "é" * 1000,
    [],
    {},
    [[]],
    {"b64": "x"},
    {"b64": 1},
]
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
_BROKEN_IMAGES = [
    b"",
    b"\x00",
    b"text",
    b"GIF89a",
    b"BM",
    b"\x89PNG\r\n\x1a\n",
    _JPEG,
    b"RIFF0000WEBPVP8 ",
]


class Fuzz:
    """Broken requests, made from good ones."""

    def __init__(self, rng: random.Random, good: list[serving.Asked]) -> None:
        self._rng, self._good = rng, good

    def body(self) -> bytes:
        """A body of REST: bytes changed, cut or doubled, or values replaced anywhere in the tree."""
        body = self._rng.choice(self._good).body
        if self._rng.random() < 0.5:
            return self._bytes(body)
        tree = json.loads(body)
        for _ in range(self._rng.randint(1, 3)):
            tree = self._tree(tree)
        return json.dumps(tree).encode("utf-8", "surrogatepass")

    def _tree(self, tree: object) -> object:
        choice = self._rng.random()
        if choice < 0.2 or not isinstance(tree, dict | list) or not tree:
            return self._rng.choice(_ODD)
        if isinstance(tree, list):
            place = self._rng.randrange(len(tree))
            changed = [*tree]
            changed[place] = self._tree(tree[place])
            return changed + changed[:1] if choice < 0.3 else changed
        key = self._rng.choice(list(tree))
        renamed = (
            key if choice < 0.8 else self._rng.choice(["instances", "inputs", "x" * 999, "text"])
        )
        return {name: each for name, each in tree.items() if name != key} | {
            renamed: self._tree(tree[key])
        }

    def _bytes(self, data: bytes) -> bytes:
        kind, place = self._rng.randrange(4), self._rng.randrange(len(data) + 1)
        if kind == 0:
            return data[:place]
        if kind == 1:
            return data[:place] + self._rng.randbytes(self._rng.randint(1, 20)) + data[place:]
        if kind == 2:
            return data[:place] + data[: self._rng.randint(1, 50)]
        changed = bytearray(data)
        for _ in range(self._rng.randint(1, 8)):
            changed[self._rng.randrange(len(changed))] = self._rng.randrange(256)
        return bytes(changed)

    def proto(self) -> bytes:
        """A message of gRPC: bytes changed, or fields set to odd values."""
        request = predict_pb2.PredictRequest.FromString(
            self._rng.choice(self._good).proto.SerializeToString()
        )
        if self._rng.random() < 0.3:
            return self._bytes(request.SerializeToString())
        name = self._rng.choice(list(request.inputs))
        tensor = request.inputs[name]
        change = self._rng.randrange(8)
        if change == 0:
            tensor.dtype = self._rng.choice([0, 1, 3, 9, 20, 101, 777])
        elif change == 1:
            tensor.tensor_shape.dim.add(size=self._rng.choice([-5, 0, 2, 2**40]))
        elif change == 2 and tensor.tensor_shape.dim:
            tensor.tensor_shape.dim[0].size = self._rng.choice([-1, 0, 2, 999, 2**31, 2**62])
        elif change == 3:
            tensor.string_val.extend([b"x"] * self._rng.randint(1, 5))
        elif change == 4:
            del request.inputs[name]
        elif change == 5:
            request.model_spec.signature_name = self._rng.choice(
                ["", "x", "embed_text", "\x00" * 50, "classify"]
            )
        elif change == 6:
            request.model_spec.version.value = self._rng.choice([-1, 0, 2**62])
        else:
            tensor.tensor_content = self._rng.randbytes(9)
        return request.SerializeToString()

    def image(self) -> bytes:
        """A message of gRPC whose images are broken files."""
        with_images = [each for each in self._good if "image_bytes" in each.inputs]
        if not with_images:
            return self.proto()
        request = predict_pb2.PredictRequest()
        request.CopyFrom(self._rng.choice(with_images).proto)
        tensor = request.inputs["image_bytes"]
        for place, value in enumerate(tensor.string_val):
            broken = (
                self._rng.choice(_BROKEN_IMAGES) if self._rng.random() < 0.3 else self._bytes(value)
            )
            tensor.string_val[place] = broken
        return request.SerializeToString()


def rest_code(server: serving.Server, body: bytes) -> tuple[str, str]:
    """(code, sentence) of a request by REST; a status that is no fault of the caller's is its own code."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=serving.LONGEST)
    try:
        connection.request("POST", f"/v1/models/{server.name}:predict", body)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return "connection", repr(error)
    finally:
        connection.close()
    if response.status == 200:
        return "OK", ""
    said = json.loads(text)["error"]
    fault = 400 <= response.status < 500 or response.status == 501
    return ("INVALID_ARGUMENT" if fault else str(response.status)), said


def grpc_code(channel: grpc.Channel) -> Callable[[bytes], tuple[str, str]]:
    """What sends bytes as a request of Predict."""
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def send(data: bytes) -> tuple[str, str]:
        try:
            call(data, timeout=serving.LONGEST)
        except grpc.RpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    return send


def is_plain(said: str) -> bool:
    """Whether a sentence tells nothing about the server's inside."""
    return not any(
        sign in said for sign in ("Traceback", 'File "', ".py", "{{node", "/site-packages/")
    )


def main(_: list[str]) -> None:
    model = pathlib.Path(flags.FLAGS.model)
    settings = ServerSettings.of(model=str(model))
    engine = Engine(serving.newest(model), settings)
    good = [
        each
        for name, (inputs, _) in sorted(engine.tensors.items())
        if set(inputs) <= {"text", "image_bytes", "class_names"}
        for each in serving_load.ask_alone(engine, settings.name, name, 16)
    ]
    engine.close()
    rng = random.Random(_SEED.value)
    fuzz, codes, bad, wrong = Fuzz(rng, good), collections.Counter[str](), [], 0
    with serving.serving(model) as server:
        clients = [serving.GrpcClient(server), serving.RestClient(server)]
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            send = grpc_code(channel)
            for number in range(_REQUESTS.value):
                kind = rng.choice(["body", "proto", "image"])
                data = getattr(fuzz, kind)()
                code, said = rest_code(server, data) if kind == "body" else send(data)
                codes[f"{kind} {code}"] += 1
                if code not in _ALLOWED or not is_plain(said):
                    bad.append((number, kind, code, said[:200]))
                if number % _EVERY == 0:
                    each = rng.choice(good)
                    try:
                        wrong += not serving.is_right(rng.choice(clients)(each), each.expected)
                    except serving.Failed as error:
                        bad.append((number, "good", str(error), ""))
        up = server.process.poll() is None
        for client in clients:
            client.close()
    for each in bad[:20]:
        print(each)
    print(", ".join(f"{name}: {count}" for name, count in sorted(codes.items())))
    print(
        f"{_REQUESTS.value} broken requests, {len(bad)} with a wrong end; {-(-_REQUESTS.value // _EVERY)} good "
        f"requests between them, {wrong} wrong answers; server {'up' if up else 'down'}"
    )
    sys.exit(0 if up and not bad and not wrong else 1)


if __name__ == "__main__":
    app.run(main)
