"""`python -m huse_tf.serve` as a process: TLS, its end, a kill, and the answers of a real export."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
import toy_exports
from asking import NAME, Stubs, refused, rest, settings
from toy_exports import WIDTH

from huse_tf.server.server_settings import TOKEN_VARIABLE

ROOT = pathlib.Path(__file__).parents[2]
TOKEN = "0123456789abcdef"
pytestmark = pytest.mark.slow


def command(folder, port, rest_port, *flags):
    ports = (f"--port={port}", f"--rest_port={rest_port}")
    return [sys.executable, "-m", "huse_tf.serve", f"--model={folder}", *ports, *flags]


def environment(token=None):
    found = {key: value for key, value in os.environ.items() if key != TOKEN_VARIABLE}
    found["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return found | ({TOKEN_VARIABLE: token} if token else {})


@contextlib.contextmanager
def serve(folder, *flags, port=0, rest_port=0, token=None):
    """A process that serves `folder`; (process, gRPC port, REST port)."""
    process = subprocess.Popen(
        command(folder, port, rest_port, "--poll_seconds=0.2", *flags),
        env=environment(token),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = "".join(process.stdout.readline() for _ in range(3))
        ports = [int(each) for each in re.findall(r":(\d+)(?:\n|/v1)", told)]
        if len(ports) != 2:
            process.kill()
            raise AssertionError(told + process.communicate()[1])
        yield process, *ports
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / NAME).mkdir()
    toy_exports.write(tmp_path / NAME / "1")
    return tmp_path / NAME


def test_sigterm_ends_after_the_running_requests(folder):
    """A port in use ends the second process with status 2 meanwhile."""
    with serve(folder) as (process, port, rest_port):
        taken = subprocess.run(
            command(folder, port, rest_port),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert taken.returncode == 2 and f"cannot listen on 127.0.0.1 port {port}" in taken.stderr
        assert "Traceback" not in taken.stderr
        stubs, answers, refusals = Stubs(port), [], []
        asked = threading.Event()

        def ask():
            while not refusals:
                try:
                    answers.append(stubs.predict("embed_text", {"text": ["abc"] * 1000}))
                except grpc.RpcError as error:
                    refusals.append(error.code())
                asked.set()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        asked.wait()
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert process.wait(60) == 0
        assert set(refusals) <= {grpc.StatusCode.UNAVAILABLE}, refusals
        assert all((each["text_embedding"] == 3).all() for each in answers)
        assert "Traceback" not in process.stderr.read()
        stubs.close()


def test_a_killed_server_gives_only_errors_that_can_be_retried(folder):
    """And the new process on the same ports answers the same clients."""
    codes, wrong, alive = set(), [], threading.Event()
    stop = threading.Event()

    def ask(stubs, length):
        while not stop.is_set():
            try:
                answer = stubs.predict("embed_text", {"text": ["x" * length]}, timeout=10)
                if answer["text_embedding"].tolist() != [[float(length)] * WIDTH]:
                    wrong.append(answer)
                alive.set()
            except grpc.RpcError as error:
                codes.add(error.code())

    with serve(folder) as (process, port, rest_port):
        clients = [Stubs(port) for _ in range(4)]
        threads = [
            threading.Thread(target=ask, args=(each, 1 + n)) for n, each in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        assert alive.wait(60)
        process.kill()
        process.wait()
    alive.clear()
    with serve(folder, port=port, rest_port=rest_port):
        assert alive.wait(120)
        stop.set()
        for thread in threads:
            thread.join()
    for each in clients:
        each.close()
    assert not wrong
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}, codes


def test_tls_and_token(folder, certificate):
    flags = [f"--{name}={value}" for name, value in certificate.items()]
    with serve(folder, *flags, token=TOKEN) as (_, port, rest_port):
        root = pathlib.Path(certificate["tls_cert"]).read_bytes()
        credentials = grpc.ssl_channel_credentials(root)
        for token, code in ((None, grpc.StatusCode.UNAUTHENTICATED), (TOKEN, None)):
            stubs = Stubs(port, token, credentials)
            with refused(code) if code else contextlib.nullcontext():
                stubs.predict("embed_text", {"text": ["red"]})
            stubs.close()
        with pytest.raises(OSError):  # not without TLS
            rest(rest_port, "/healthz")
        if shutil.which("curl"):
            base = ["curl", "-s", "--cacert", certificate["tls_cert"], "-w", " %{http_code}"]
            url = f"https://localhost:{rest_port}/v1/models/{NAME}"
            for more, status in (([], "401"), (["-H", f"Authorization: Bearer {TOKEN}"], "200")):
                done = subprocess.run(
                    [*base, *more, url], capture_output=True, text=True, check=True
                )
                assert done.stdout.endswith(" " + status)


def test_an_export_answers_as_in_python(tmp_path, monkeypatch):
    """All signatures of a small trained model's export, through gRPC, equal to tf.saved_model.load."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "serving")
    from tiny_models import PATHS, TEXTS, WEIGHT, AverageColour, BagOfWords, build

    from huse_tf.data.classes.taxonomy import Taxonomy
    from huse_tf.server.running import running
    from huse_tf.server.server_settings import check_server
    from huse_tf.serving.export import export_model
    from huse_tf.serving.exported import Exported

    exported = Exported(build(len(PATHS)), AverageColour(), BagOfWords(), Taxonomy(PATHS), WEIGHT)
    folder = export_model(exported, tmp_path / NAME / "1")
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (4 + n, 5, 3)).astype(np.uint8) for n in range(len(TEXTS))]
    images = [tf.io.encode_png(each).numpy() for each in pixels]
    values = {
        "image_bytes": images,
        "text": [text.encode() for text in TEXTS],
        "class_names": [[b"red", b"shoe"]] * len(TEXTS),
    }
    given = settings(folder.parent)
    with running(given, check_server(given)) as server:
        stubs = Stubs(server.port)
        for name, signature in tf.saved_model.load(str(folder)).signatures.items():
            inputs = {key: values[key] for key in signature.structured_input_signature[1]}
            if name == "embed_product":
                inputs["image_bytes"] = [[image, b""] for image in images]
            expected = signature(**{key: tf.constant(value) for key, value in inputs.items()})
            answer = stubs.predict(name, inputs)
            assert set(answer) == set(expected)
            for key, value in expected.items():
                if value.dtype == tf.string:
                    assert answer[key].tolist() == value.numpy().tolist()
                else:
                    np.testing.assert_allclose(
                        answer[key], value, atol=1e-6, err_msg=f"{name} {key}"
                    )
        stubs.close()
