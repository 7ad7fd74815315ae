"""A small server of TF Serving's gRPC and REST with a made-up model, for tests of clients: it fails when told to.

The model keeps the contract of an export in a few lines of NumPy. Images are PNG files; the embedding of an image
is its mean colour, the embedding of a text counts its letters.
"""

import base64
import contextlib
import http.server
import io
import json
import re
import socket
import threading
from concurrent import futures

import grpc
import numpy as np
import PIL.Image
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

NAME = "shop"
DIM = 8
CLASSES = ("hats", "home<lamps", "home<seats<chairs", "home<seats<sofas")
WEIGHTS = np.random.default_rng(0).normal(0, 3, (DIM, len(CLASSES)))
THRESHOLD = 0.7
FAILED = "No image and no text."
HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


class Refused(Exception):
    """(code, message)."""


# --- the model ------------------------------------------------------------------------------------


def unit(vector):
    norm = np.linalg.norm(vector)
    return vector / norm if norm else vector


def image_vector(content):
    """None for a missing image."""
    if not content:
        return None
    with PIL.Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > 10**6:
            raise ValueError("too many pixels")
        pixels = np.asarray(image.convert("RGB"), np.float64)
    return unit(np.append(pixels.mean((0, 1)) + 1, np.zeros(DIM - 3)))


def text_vector(content):
    if not content.strip():
        return None
    return unit(np.bincount(np.frombuffer(content, np.uint8) % DIM, minlength=DIM) + 0.1)


def embed(images, text):
    """(unit vector, status) of one row."""
    try:
        pictures = [vector for each in images if (vector := image_vector(each)) is not None]
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        return np.zeros(DIM), f"image_bytes: {type(error).__name__}"
    written = text_vector(text) if text is not None else None
    parts = ([unit(np.mean(pictures, 0))] if pictures else []) + (
        [written] if written is not None else []
    )
    return (unit(np.mean(parts, 0)), "") if parts else (np.zeros(DIM), FAILED)


def probabilities(vector):
    shares = np.exp(vector @ WEIGHTS)
    return shares / shares.sum()


def classified(vector, status):
    if status:
        none = {"classes": [""] * len(CLASSES), "scores": np.zeros(len(CLASSES))}
        return {**none, "level_scores": np.zeros((len(CLASSES), 3)), "accepted": False}
    p = probabilities(vector)
    order = np.argsort(-p, kind="stable")
    levels = np.zeros((len(CLASSES), 3))
    for place, label in enumerate(order):
        path = CLASSES[label].split("<")
        for level in range(len(path)):
            above = path[: level + 1]
            below = [n for n, c in enumerate(CLASSES) if c.split("<")[: level + 1] == above]
            levels[place, level] = p[below].sum()
    return {
        "classes": [CLASSES[label] for label in order],
        "scores": p[order],
        "level_scores": levels,
        "accepted": bool(p.max() >= THRESHOLD),
    }


def embed_one(output, image=(), text=None):
    vector, status = embed(image, text)
    return {output: vector, "status": status}


def classify_one(image=(), text=None):
    vector, status = embed(image, text)
    return {**classified(vector, status), "status": status}


def scores_one(image, text):
    vector, status = embed([image], text)
    return {
        "class_scores": np.zeros(len(CLASSES)) if status else probabilities(vector),
        "status": status,
    }


def names_one(image, text, names):
    vector, status = embed([image], text)
    found = [text_vector(name) for name in names]
    shares = np.array(
        [0.0 if each is None or status else np.exp(5 * each @ vector) for each in found]
    )
    return {"name_scores": shares / max(shares.sum(), 1e-9), "status": status}


def default_one(image, text):
    (looks, bad), (says, _) = embed([image], None), embed([], text)
    vector, status = embed([image], text)
    broken = bad if bad != FAILED else ""
    both = {"image_embedding": looks, "text_embedding": says * (not broken and not status)}
    return {**both, **classified(vector, status), "status": status}


B, T, N = "image_bytes", "text", "class_names"
CLASSIFIED = {
    "classes": (str, 2),
    "scores": (float, 2),
    "level_scores": (float, 3),
    "accepted": (bool, 1),
}
# Signature -> rank of each input, type and rank of each output beside the status, the answer of a row.
SIGNATURES = {
    "embed_image": (
        {B: 1},
        {"image_embedding": (float, 2)},
        lambda b: embed_one("image_embedding", [b]),
    ),
    "embed_text": (
        {T: 1},
        {"text_embedding": (float, 2)},
        lambda t: embed_one("text_embedding", (), t),
    ),
    "embed_product": (
        {B: 2, T: 1},
        {"product_embedding": (float, 2)},
        lambda b, t: embed_one("product_embedding", b, t),
    ),
    "classify_image": ({B: 1}, CLASSIFIED, lambda b: classify_one([b])),
    "classify_text": ({T: 1}, CLASSIFIED, lambda t: classify_one((), t)),
    "classify": ({B: 1, T: 1}, CLASSIFIED, lambda b, t: classify_one([b], t)),
    "class_scores": ({B: 1, T: 1}, {"class_scores": (float, 2)}, scores_one),
    "classify_names": ({B: 1, T: 1, N: 2}, {"name_scores": (float, 2)}, names_one),
    "serving_default": (
        {B: 1, T: 1},
        {"image_embedding": (float, 2), "text_embedding": (float, 2), **CLASSIFIED},
        default_one,
    ),
}
ROW = {
    "image_embedding": (DIM,),
    "text_embedding": (DIM,),
    "product_embedding": (DIM,),
    "classes": (4,),
    "scores": (4,),
}
ROW |= {"level_scores": (4, 3), "accepted": (), "class_scores": (4,), "status": ()}
TYPES = {float: np.float32, str: object, bool: bool}


def predict(signature, inputs):
    """Arrays of bytes by input -> arrays by output."""
    if signature not in SIGNATURES:
        raise Refused("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
    ranks, outputs, row = SIGNATURES[signature]
    if set(inputs) != set(ranks) or any(inputs[name].ndim != rank for name, rank in ranks.items()):
        raise Refused("INVALID_ARGUMENT", f"input size does not match signature: {sorted(inputs)}")
    if any(not isinstance(each, bytes) for value in inputs.values() for each in value.flat):
        raise Refused("INVALID_ARGUMENT", "Expects string.")
    sizes = {len(value) for value in inputs.values()}
    if len(sizes) > 1:
        raise Refused("INVALID_ARGUMENT", f"{' and '.join(ranks)} must have equally many rows.")
    rows = [row(*values) for values in zip(*(inputs[name] for name in ranks), strict=True)]
    answer = {}
    for name, (kind, _) in {**outputs, "status": (str, 1)}.items():
        shape = (len(rows), *ROW.get(name, (inputs[N].shape[1],) if N in inputs else ()))
        answer[name] = np.empty(shape, TYPES[kind])
        for number, each in enumerate(rows):
            answer[name][number] = each[name]
    return answer


# --- the server -----------------------------------------------------------------------------------


class Faults:
    """What the next requests meet, and the requests that came.

    `next` holds the name of a status, "slow" (no answer before the test ends), "cut" (half an answer), "page" (HTML
    with status 200), "drip" (a byte now and then), or "".
    """

    def __init__(self):
        self.next, self.seen, self.headers, self.retry_after = [], [], [], ""
        self.ended, self.lock = threading.Event(), threading.Lock()

    def take(self, signature, inputs, headers):
        with self.lock:
            self.seen.append((signature, inputs))
            self.headers.append(dict(headers))
            fault = self.next.pop(0) if self.next else ""
        if fault == "slow":
            self.ended.wait(30)
        code, _, message = fault.partition(":")
        if code.isupper():
            raise Refused(code, message or "on purpose")
        return fault


def check(spec_name, version, label):
    if spec_name != NAME or version not in (None, 0, 1):
        raise Refused("NOT_FOUND", f"Servable not found for request: {spec_name}")
    if label and label != "stable":
        raise Refused("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_pattern = re.compile(
        r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(?:(:predict)|(/metadata))?"
    )

    def log_message(self, *_):
        pass

    def answer(self, status, value, fault=""):
        body = json.dumps(value).encode() if not isinstance(value, bytes) else value
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status in (429, 503) and self.server.faults.retry_after:
            self.send_header("Retry-After", self.server.faults.retry_after)
        self.end_headers()
        with contextlib.suppress(OSError):
            if fault == "drip":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if self.server.faults.ended.wait(0.02):
                        return
            else:
                self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
        self.close_connection |= fault == "cut"

    def handle_one(self, work):
        try:
            found = self.path_pattern.fullmatch(self.path)
            if not found:
                raise Refused("INVALID_ARGUMENT", f"Malformed request: {self.path}")
            check(found[1], found[2] and int(found[2]), found[3])
            work(found)
        except Refused as refused:
            code, message = refused.args
            self.answer(HTTP[code], {"error": message})

    def do_GET(self):
        self.handle_one(
            lambda found: self.answer(200, metadata_json() if found[5] else STATUS_JSON)
        )

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.handle_one(lambda _: self.predict(content))

    def predict(self, content):
        try:
            body = json.loads(content)
        except ValueError as error:
            raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
        if ("inputs" in body) == ("instances" in body):
            raise Refused("INVALID_ARGUMENT", "expecting only one of 'inputs' or 'instances'")
        signature = body.get("signature_name") or "serving_default"
        if signature not in SIGNATURES:
            raise Refused("INVALID_ARGUMENT", f'Serving signature name: "{signature}" not found')
        names = list(SIGNATURES[signature][0])
        by_row = "instances" in body
        if by_row:
            rows = body["instances"]
            if not rows:
                raise Refused("INVALID_ARGUMENT", "No values in 'instances' array")
            single = len(names) == 1 and not (isinstance(rows[0], dict) and names[0] in rows[0])
            rows = [{names[0]: row} for row in rows] if single else rows
            if any(not isinstance(row, dict) or set(row) != set(names) for row in rows):
                raise Refused("INVALID_ARGUMENT", f"keys must be equal to: {names}")
            columns = {name: [row[name] for row in rows] for name in names}
        else:
            columns = (
                body["inputs"] if isinstance(body["inputs"], dict) else {names[0]: body["inputs"]}
            )
            missing = set(names) - set(columns)
            if missing:
                raise Refused("INVALID_ARGUMENT", f"Missing named input: {missing}")
            columns = {name: columns[name] for name in names}
        inputs = {name: array(decoded(value)) for name, value in columns.items()}
        fault = self.server.faults.take(signature, inputs, self.headers)
        outputs = {name: value.tolist() for name, value in predict(signature, inputs).items()}
        if fault == "page":
            return self.answer(200, b"<html>Sign in</html>")
        if by_row:
            outputs = [
                dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)
            ]
        return self.answer(200, {"predictions" if by_row else "outputs": outputs}, fault)


def decoded(value):
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value


def array(value):
    shape, leaf = [], value
    while isinstance(leaf, list):
        shape.append(len(leaf))
        leaf = leaf[0] if leaf else b""
    flat = value
    for _ in shape[1:]:
        if len({len(each) if isinstance(each, list) else -1 for each in flat}) > 1:
            raise Refused("INVALID_ARGUMENT", "Encountered list at unexpected size")
        flat = [each for row in flat for each in row]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(shape)


STATUS_JSON = {
    "model_version_status": [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
}
DATA_TYPES = {float: tf.float32, str: tf.string, bool: tf.bool}


def signature_map():
    result = get_model_metadata_pb2.SignatureDefMap()
    for name, (inputs, outputs, _) in SIGNATURES.items():
        definition = result.signature_def[name]
        definition.method_name = "tensorflow/serving/predict"
        for key, rank in inputs.items():
            fill(definition.inputs[key], key, tf.string, [None] * rank)
        for key, (kind, rank) in {**outputs, "status": (str, 1)}.items():
            shape = [None, *ROW.get(key, (None,))]
            fill(definition.outputs[key], key, DATA_TYPES[kind], shape[:rank])
    return result


def fill(info, name, dtype, shape):
    info.name = f"{name}:0"
    info.dtype = dtype.as_datatype_enum
    for size in shape:
        info.tensor_shape.dim.add(size=-1 if size is None else size)


def metadata_json():
    from google.protobuf import json_format

    definitions = json_format.MessageToDict(signature_map())["signatureDef"]
    for definition in definitions.values():
        for info in (*definition["inputs"].values(), *definition["outputs"].values()):
            info["tensor_shape"] = info.pop("tensorShape", {})
    spec = {"name": NAME, "signature_name": "", "version": "1"}
    return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": definitions}}}


class Servicer(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, faults):
        self.faults = faults

    def Predict(self, request, context):
        spec = request.model_spec
        signature = spec.signature_name or "serving_default"
        try:
            check(spec.name, spec.version.value or None, spec.version_label)
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            self.faults.take(signature, inputs, context.invocation_metadata())
            outputs = predict(signature, inputs)
            asked = list(request.output_filter) or list(outputs)
            if not set(asked) <= set(outputs):
                raise Refused("INVALID_ARGUMENT", f"output tensor alias not found: {asked}")
        except Refused as refused:
            code, message = refused.args
            context.abort(grpc.StatusCode[code], message)
        from tensorflow_serving.apis import predict_pb2

        answer = predict_pb2.PredictResponse()
        answer.model_spec.CopyFrom(spec)
        answer.model_spec.signature_name = signature
        answer.model_spec.version.value = 1
        for name in asked:
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return answer

    def GetModelStatus(self, request, context):
        try:
            check(request.model_spec.name, request.model_spec.version.value or None, "")
        except Refused as refused:
            context.abort(grpc.StatusCode[refused.args[0]], refused.args[1])
        answer = get_model_status_pb2.GetModelStatusResponse()
        answer.model_version_status.add(version=1, state="AVAILABLE")
        return answer

    def GetModelMetadata(self, request, context):
        try:
            check(request.model_spec.name, request.model_spec.version.value or None, "")
            if list(request.metadata_field) != ["signature_def"]:
                raise Refused("INVALID_ARGUMENT", "must specify at least one metadata_field")
        except Refused as refused:
            context.abort(grpc.StatusCode[refused.args[0]], refused.args[1])
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name, answer.model_spec.version.value = NAME, 1
        answer.metadata["signature_def"].Pack(signature_map())
        return answer


@contextlib.contextmanager
def rest(faults):
    """The address of the server while it runs."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.faults, server.daemon_threads = faults, True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        faults.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def over_grpc(faults, credentials=None):
    """The address of the server while it runs."""
    server = grpc.server(
        futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)]
    )
    servicer = Servicer(faults)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = (
        server.add_secure_port("localhost:0", credentials)
        if credentials
        else server.add_insecure_port("127.0.0.1:0")
    )
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        faults.ended.set()
        server.stop(0).wait()


@contextlib.contextmanager
def hangs_up():
    """A port where every connection ends at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        ended = threading.Event()

        def accept():
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    listening.accept()[0].close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()
